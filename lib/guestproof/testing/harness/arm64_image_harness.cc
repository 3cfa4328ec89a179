#include "guestproof/testing/harness/arm64_image_harness.h"

#include "guestproof/loader/arm64_image.h"

namespace guestproof::testing {

Arm64ImageHarness::Arm64ImageHarness() {
  parsed_ = depth_.add("arm64_image:parsed");
  big_endian_ = depth_.add("arm64_image:big_endian");
  cut_ = depth_.add("arm64_image:longer_than_it_says");
  depth_.add_errors<loader::Arm64ImageError>();
  add_memory_errors();
}

LoaderHarness::Bytes Arm64ImageHarness::make(std::uint16_t) const {
  auto image = arm64_image::make();
  put(image, arm64_image::text_offset, kStart);
  return image;
}

ImageField Arm64ImageHarness::field(const Record& record) const {
  static constexpr ImageField kFields[] = {{8, 8}, {16, 8}, {24, 8}, {56, 4}, {0, 4}};
  return kFields[record.kind % 5];
}

void Arm64ImageHarness::load(std::uint8_t) {
  const auto& bytes = file();
  const auto image = loader::Arm64Image::parse(bytes_of(bytes));
  if (!agree("parsing", image, model_.parse(bytes))) return;
  depth_.count(parsed_);
  if (image->big_endian()) depth_.count(big_endian_);
  if (image->bytes().size() < bytes.size()) depth_.count(cut_);
  compare("what was parsed",
          {{"text_offset", image->text_offset()},
           {"image_size", image->image_size()},
           {"big-endian", image->big_endian() ? 1U : 0U},
           {"the page size", image->page_size()},
           {"anywhere", image->anywhere() ? 1U : 0U},
           {"the bytes", image->bytes().size()}},
          model_.facts());

  ModelError model;
  Result<loader::LoadedKernel> kernel;
  step([&] { kernel = loader::load(world().device(), *image, GuestAddress(address())); },
       [&] { model = model_.load(model_memory(), address()); });
  if (!agree("loading", kernel, model)) return;
  loaded();
  compare("what was loaded", facts_of(*kernel), model_.facts());
}

}  // namespace guestproof::testing
