#include "guestproof/testing/harness/elf_harness.h"

#include "guestproof/loader/elf.h"

namespace guestproof::testing {
namespace {

using loader::KernelProtocol;

ModelFacts facts_of(const loader::ElfImage& image, std::span<const std::byte> file) {
  ModelFacts facts;
  for (const auto& [memory, bytes] : image.segments()) {
    facts.push_back({"a segment's address", memory.base.raw()});
    facts.push_back({"a segment's size", memory.size});
    facts.push_back({"a segment's bytes", bytes.size()});
    if (!bytes.empty())
      facts.push_back(
          {"a segment's offset", static_cast<std::uint64_t>(bytes.data() - file.data())});
  }
  if (const auto entry = image.entry(KernelProtocol::kLinux64))
    facts.push_back({"the 64-bit entry", entry->raw()});
  if (const auto entry = image.entry(KernelProtocol::kPvh))
    facts.push_back({"the PVH entry", entry->raw()});
  return facts;
}

}  // namespace

ElfHarness::ElfHarness() {
  parsed_ = depth_.add("elf:parsed");
  pvh_ = depth_.add("elf:loaded_for_pvh");
  depth_.add_errors<loader::ElfError>();
  add_memory_errors();
}

LoaderHarness::Bytes ElfHarness::make(std::uint16_t index) const {
  auto image = elf_image::make();
  switch (index % 4) {
    case 1:
      put(image, {elf_image::kPvhNote + 8, 4}, 17);
      break;
    case 2:
      // The first note has 20 bytes.
      image.insert(image.begin() + elf_image::kPvhNote, 4, 0);
      put(image, elf_image::filesz(2), elf_image::kNotesEnd + 4 - elf_image::kNotes);
      put(image, elf_image::align(2), 8);
      break;
    case 3:
      image.resize(image.size() + (64 << 10));
      break;
    default:
      break;
  }
  return image;
}

ImageField ElfHarness::field(const Record& record) const {
  static constexpr ImageField kFields[] = {{24, 8}, {32, 8}, {56, 2}, {54, 2}, {16, 2}, {18, 2},
                                           {0, 4},  {8, 8},  {24, 8}, {32, 8}, {40, 8}, {48, 8},
                                           {0, 4},  {4, 4},  {8, 4},  {16, 8}};
  auto place = kFields[record.kind % 16];
  if (record.kind % 16 >= 12)
    place.offset += record.index % 2 == 0 ? elf_image::kNotes : elf_image::kPvhNote;
  else if (record.kind % 16 >= 6)
    place.offset += 64 + record.index % 4 * elf_image::kElfHeaderBytes;
  return place;
}

void ElfHarness::load(std::uint8_t queue) {
  const auto& bytes = file();
  const auto image = loader::ElfImage::parse(bytes_of(bytes));
  if (!agree("parsing", image, model_.parse(bytes))) return;
  depth_.count(parsed_);
  compare("what was parsed", testing::facts_of(*image, bytes_of(bytes)), model_.facts());

  const auto protocol = static_cast<KernelProtocol>(queue % 3);
  ModelError model;
  Result<loader::LoadedKernel> kernel;
  step([&] { kernel = loader::load(world().device(), *image, protocol); },
       [&] { model = model_.load(model_memory(), queue % 3); });
  if (!agree("loading", kernel, model)) return;
  loaded();
  if (protocol == KernelProtocol::kPvh) depth_.count(pvh_);
  compare("what was loaded", LoaderHarness::facts_of(*kernel), model_.facts());
}

}  // namespace guestproof::testing
