// bzImages under test. Target: bzimage.
//
// `queue` begins with an image of the kind at `index` (modulo 2): relocatable, not relocatable. A
// `request` sets the field `kind` (modulo 16) to a number, see loader_harness.h: 0 setup_sects,
// 1 syssize, 2 version, 3 loadflags, 4 kernel_alignment, 5 relocatable_kernel, 6 xloadflags,
// 7 payload_offset, 8 payload_length, 9 pref_address, 10 init_size, 11 the jump over the header,
// 12 boot_flag, 13 the header's magic number, 14 the payload's first eight bytes, 15 setup_data.
// `kick` loads.
#pragma once

#include "guestproof/loader/bzimage.h"
#include "guestproof/testing/harness/loader_harness.h"

namespace guestproof::testing {

class BzImageHarness final : public ImageHarness {
 public:
  BzImageHarness();

  [[nodiscard]] std::string_view name() const override { return "bzimage"; }

 private:
  [[nodiscard]] Bytes make(std::uint16_t index) const override;
  [[nodiscard]] ImageField field(const Record& record) const override;
  void load(std::uint8_t queue) override;
  void find_payload(const loader::BzImage& image, const Bytes& bytes);

  BzImageModel model_;
  Depth::Index parsed_, moved_, unpacked_, first_format_;
};

}  // namespace guestproof::testing
