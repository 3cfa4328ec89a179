// Command lines under test. Target: cmdline.
//
// `queue` begins an empty line of at most `index` bytes (modulo 4096; 0: 2047). A `request` appends
// a piece of `length` bytes (modulo 2200), the bytes of `value` over and over: `kind` (modulo 3) 0
// made letters, 1 as they are, 2 all letters but the last, which is as it is. `kick` loads the line
// at 1 MiB, `access` at the place `next` plus `value` (see loader_harness.h) where there are
// `length` bytes of room.
#pragma once

#include "guestproof/loader/cmdline.h"
#include "guestproof/testing/harness/loader_harness.h"
#include "guestproof/testing/model/boot_model.h"

namespace guestproof::testing {

class CmdlineHarness final : public LoaderHarness {
 public:
  CmdlineHarness();

  [[nodiscard]] std::string_view name() const override { return "cmdline"; }

 private:
  void choose(std::uint16_t index) override;
  void request(const Record& record) override;
  void act(const Record& record) override;
  void load(std::uint8_t queue) override;

  [[nodiscard]] static std::string piece(const Record& record);
  void load_at(std::uint64_t base, std::uint64_t room);

  loader::Cmdline cmdline_{0};
  CmdlineModel model_{0};
  Depth::Index appended_, nothing_;
};

}  // namespace guestproof::testing
