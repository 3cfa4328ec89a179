#include "guestproof/testing/harness/boot_params_harness.h"

#include <cstring>
#include <string>

#include "guestproof/loader/memory_map.h"

namespace guestproof::testing {
namespace {

using loader::GuestRange;
using loader::MemoryMapEntry;
using loader::MemoryType;

std::vector<GuestRange> ranges_of(const ModelRanges& ranges) {
  std::vector<GuestRange> out;
  for (const auto& range : ranges) out.push_back({GuestAddress(range.base), range.size});
  return out;
}

std::vector<MemoryMapEntry> entries_of(const ModelRanges& ranges) {
  std::vector<MemoryMapEntry> out;
  for (const auto& range : ranges)
    out.push_back({{GuestAddress(range.base), range.size}, static_cast<MemoryType>(range.type)});
  return out;
}

}  // namespace

BootParamsHarness::BootParamsHarness() {
  mapped_ = depth_.add("boot:mapped");
  placed_ = depth_.add("boot:initrd_placed");
  zero_pages_ = depth_.add("boot:zero_page");
  start_infos_ = depth_.add("boot:start_info");
  depth_.add_errors<loader::BootError>();
  add_memory_errors();
}

void BootParamsHarness::choose(std::uint16_t index) {
  ram_ = {{0, 0xd000'0000}, {0x1'0000'0000, 0x1000'0000}};
  reserved_ = {{0x9fc00, 0x60400, 2}};
  taken_ = {{0x100000, 0x1000000}};
  if (index % 3 != 0) ram_.clear();
  if (index % 3 == 2)
    for (std::uint64_t i = 0; i < 120; ++i) ram_.push_back({i << 22, 1 << 21});
  initrd_size_ = 0x12345;
  last_address_ = 0x7fff'ffff;
  address_ = kStart;
  initrd_.reset();
  boot_ = {};
  boot_.header.resize(0x9f);
  boot_.kernel = 0x100000;
  boot_.cmdline = 0x20000;
  boot_.rsdp = 0xe0000;
}

void BootParamsHarness::add_range(const Record& record) {
  const std::uint64_t size = std::uint64_t{record.length} << record.width % 40;
  auto& ranges = record.kind == 0 ? ram_ : record.kind == 1 ? reserved_ : taken_;
  ranges.push_back({number(record), size, record.kind == 1 ? record.extra % 5U : 1U});
}

void BootParamsHarness::request(const Record& record) {
  auto canonical = record;
  canonical.kind = record.kind % 11;
  const auto value = number(record);
  switch (canonical.kind) {
    case 3:
      initrd_size_ = value;
      break;
    case 4:
      last_address_ = value;
      break;
    case 5:
      boot_.kernel = value;
      break;
    case 6:
      boot_.cmdline = value;
      break;
    case 7:
      boot_.rsdp = value;
      break;
    case 8:
      address_ = value;
      break;
    case 9:
      put_number(boot_.header, record.index % 152, 8, value);
      break;
    case 10:
      initrd_ = ModelRange{value, record.length};
      break;
    default:
      add_range(canonical);
  }
}

void BootParamsHarness::load(std::uint8_t) {
  // Models look at each range for each border.
  const auto ranges = ram_.size() + reserved_.size() + taken_.size();
  worked(16 * ranges * ranges);
  auto boot = boot_;
  make_map(boot.map);
  place_initrd(boot);
  if (initrd_) {
    boot.initrd = initrd_->base;
    boot.initrd_size = initrd_->size;
  }
  load_zero_page(boot);
  load_start_info(boot);
}

void BootParamsHarness::make_map(ModelRanges& map) {
  const auto made = loader::make_memory_map(ranges_of(ram_), entries_of(reserved_));
  if (!agree("the memory map", made, model_memory_map(ram_, reserved_, map))) {
    // A kernel is told of all of it, however wrong.
    map = ram_;
    map.insert(map.end(), reserved_.begin(), reserved_.end());
    return;
  }
  depth_.count(mapped_);
  if (*made == entries_of(map)) return;
  std::string sentence = "the memory map differs from the model's:";
  for (const auto& [range, type] : *made)
    sentence += " " + hex(range.base.raw()) + "+" + hex(range.size) + " type " +
                std::to_string(static_cast<std::uint32_t>(type));
  violated(kModelAgreement, sentence);
}

void BootParamsHarness::place_initrd(ModelBoot& boot) {
  const auto ram = ranges_of(ram_), taken = ranges_of(taken_);
  const auto placed = loader::place_initrd({initrd_size_, ram, taken, last_address_});
  if (!agree("the initrd's place", placed,
             model_place_initrd(ram_, taken_, initrd_size_, last_address_, boot.initrd)))
    return;
  depth_.count(placed_);
  boot.initrd_size = initrd_size_;
  compare("the initrd", {{"its place", placed->base.raw()}, {"its size", placed->size}},
          {{"its place", boot.initrd}, {"its size", initrd_size_}});
}

void BootParamsHarness::load_zero_page(const ModelBoot& boot) {
  const auto map = entries_of(boot.map);
  loader::LinuxBoot linux_boot{.header = {},
                               .kernel = GuestAddress(boot.kernel),
                               .cmdline = GuestAddress(boot.cmdline),
                               .initrd = {GuestAddress(boot.initrd), boot.initrd_size},
                               .rsdp = GuestAddress(boot.rsdp),
                               .memory = map};
  std::memcpy(&linux_boot.header, boot.header.data(), sizeof linux_boot.header);
  ModelError model;
  Result<void> done;
  step([&] { done = loader::load(world().device(), linux_boot, GuestAddress(address_)); },
       [&] { model = model_zero_page(model_memory(), boot, address_); });
  if (!agree("the zero page", done, model)) return;
  loaded();
  depth_.count(zero_pages_);
}

void BootParamsHarness::load_start_info(const ModelBoot& boot) {
  const auto map = entries_of(boot.map);
  const loader::PvhBoot pvh{.cmdline = GuestAddress(boot.cmdline),
                            .initrd = {GuestAddress(boot.initrd), boot.initrd_size},
                            .rsdp = GuestAddress(boot.rsdp),
                            .memory = map};
  ModelError model;
  Result<void> done;
  step([&] { done = loader::load(world().device(), pvh, GuestAddress(address_)); },
       [&] { model = model_start_info(model_memory(), boot, address_); });
  if (!agree("the start info", done, model)) return;
  loaded();
  depth_.count(start_infos_);
}

}  // namespace guestproof::testing
