// What kernels are told at boot, under test: the memory map, the initrd's place, the zero page,
// hvm_start_info. Target: boot_params.
//
// `queue` begins with a machine of the kind at `index` (modulo 3): RAM from 0 to 3328 MiB and 256
// MiB from 4 GiB on, with the usual reserved range and a kernel at 1 MiB; none at all; RAM in 120
// pieces. A `request` sets a number (see loader_harness.h), by `kind` (modulo 11):
//   0 to 2  a range is added to RAM, to what is reserved, to what is taken: there, of `length`
//   times
//           2^(`cut` modulo 40) bytes, and of type `extra` (modulo 5)
//   3  the initrd's size        6  where the command line is    9  8 bytes of the setup header
//   4  the last address for it  7  where the RSDP is               (at `index`, modulo 152)
//   5  where the kernel is      8  where what is told is loaded
//   10 the initrd is there, of `length` bytes, wherever it belongs.
// `kick` makes the map,
// places the initrd, and loads the zero page and hvm_start_info with what came of it.
#pragma once

#include <optional>

#include "guestproof/loader/boot_params.h"
#include "guestproof/loader/pvh.h"
#include "guestproof/testing/harness/loader_harness.h"
#include "guestproof/testing/model/boot_model.h"

namespace guestproof::testing {

class BootParamsHarness final : public LoaderHarness {
 public:
  BootParamsHarness();

  [[nodiscard]] std::string_view name() const override { return "boot_params"; }

 private:
  void choose(std::uint16_t index) override;
  void request(const Record& record) override;
  void load(std::uint8_t queue) override;

  void add_range(const Record& record);
  /// Both make the map.
  void make_map(ModelRanges& map);
  void place_initrd(ModelBoot& boot);
  void load_zero_page(const ModelBoot& boot);
  void load_start_info(const ModelBoot& boot);

  ModelRanges ram_, reserved_, taken_;
  std::uint64_t initrd_size_ = 0, last_address_ = 0, address_ = 0;
  std::optional<ModelRange> initrd_;  // placed by the program
  ModelBoot boot_;
  Depth::Index mapped_, placed_, zero_pages_, start_infos_;
};

}  // namespace guestproof::testing
