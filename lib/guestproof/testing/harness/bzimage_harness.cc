#include "guestproof/testing/harness/bzimage_harness.h"

namespace guestproof::testing {
namespace {

constexpr std::array<std::string_view, 9> kFormats{"unknown", "elf", "gzip", "bzip2", "lzma",
                                                   "xz",      "lzo", "lz4",  "zstd"};

}  // namespace

BzImageHarness::BzImageHarness() {
  parsed_ = depth_.add("bzimage:parsed");
  moved_ = depth_.add("bzimage:loaded_elsewhere");
  unpacked_ = depth_.add("payload:none");
  first_format_ = depth_.names().size();
  for (const auto format : kFormats) depth_.add("payload:" + std::string(format));
  depth_.add_errors<loader::BzImageError>();
  add_memory_errors();
}

LoaderHarness::Bytes BzImageHarness::make(std::uint16_t index) const {
  auto image = bzimage_image::make();
  if (index % 2 == 1) {
    put(image, bzimage_image::relocatable_kernel, 0);
    put(image, bzimage_image::pref_address, 0x101000);
  }
  return image;
}

ImageField BzImageHarness::field(const Record& record) const {
  using namespace bzimage_image;
  static constexpr ImageField kFields[] = {setup_sects,
                                           syssize,
                                           version,
                                           loadflags,
                                           kernel_alignment,
                                           relocatable_kernel,
                                           xloadflags,
                                           payload_offset,
                                           payload_length,
                                           pref_address,
                                           init_size,
                                           jump_length,
                                           boot_flag,
                                           magic,
                                           {kKernel + bzimage_image::kPayload, 8},
                                           setup_data};
  return kFields[record.kind % 16];
}

void BzImageHarness::find_payload(const loader::BzImage& image, const Bytes& bytes) {
  const auto payload = image.payload();
  if (!agree("the payload", payload, model_.payload())) return;
  ModelFacts facts;
  if (const auto& found = *payload) {
    const auto format = static_cast<std::uint64_t>(found->format);
    facts = {{"the payload's format", format},
             {"the payload's offset", offset_in(bytes, found->stream)},
             {"the payload's bytes", found->stream.size()},
             {"the unpacked size", found->unpacked_size}};
    depth_.count(first_format_ + format);
  } else {
    depth_.count(unpacked_);
  }
  compare("the payload", facts, model_.facts());
}

void BzImageHarness::load(std::uint8_t) {
  const auto& bytes = file();
  const auto image = loader::BzImage::parse(bytes_of(bytes));
  if (!agree("parsing", image, model_.parse(bytes))) return;
  depth_.count(parsed_);
  ModelFacts facts;
  for (const auto byte : std::as_bytes(std::span(&image->header(), 1)))
    facts.push_back({"a byte of the setup header", std::to_integer<std::uint64_t>(byte)});
  facts.push_back({"the kernel's offset", offset_in(bytes, image->kernel())});
  facts.push_back({"the kernel's bytes", image->kernel().size()});
  facts.push_back({"the default load address", image->default_load_address().raw()});
  compare("what was parsed", facts, model_.facts());
  find_payload(*image, bytes);

  ModelError model;
  Result<loader::LoadedKernel> kernel;
  step([&] { kernel = loader::load(world().device(), *image, GuestAddress(address())); },
       [&] { model = model_.load(model_memory(), address()); });
  if (!agree("loading", kernel, model)) return;
  loaded();
  if (address() != kStart) depth_.count(moved_);
  compare("what was loaded", facts_of(*kernel), model_.facts());
}

}  // namespace guestproof::testing
