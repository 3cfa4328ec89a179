// Images of arm64 under test. Target: arm64_image.
//
// There is one kind of image, which counts from 0. A `request` sets the field `kind` (modulo 5) to
// a number, see loader_harness.h: 0 text_offset, 1 image_size, 2 flags, 3 the magic number, 4
// code0. `kick` loads.
#pragma once

#include "guestproof/testing/harness/loader_harness.h"

namespace guestproof::testing {

class Arm64ImageHarness final : public ImageHarness {
 public:
  Arm64ImageHarness();

  [[nodiscard]] std::string_view name() const override { return "arm64_image"; }

 private:
  [[nodiscard]] Bytes make(std::uint16_t index) const override;
  [[nodiscard]] ImageField field(const Record& record) const override;
  [[nodiscard]] std::uint64_t default_address() const override { return 0; }
  void load(std::uint8_t queue) override;

  Arm64ImageModel model_;
  Depth::Index parsed_, big_endian_, cut_;
};

}  // namespace guestproof::testing
