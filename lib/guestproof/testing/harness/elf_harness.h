// ELF kernels under test. Target: elf.
//
// `queue` begins with an image of the kind at `index` (modulo 4): with both entries, with the
// 64-bit one, with notes aligned to 8 bytes, with 64 KiB of zeros behind it. A `request` sets the
// field `kind` (modulo 16) to a number, see loader_harness.h: 0 e_entry, 1 e_phoff, 2 e_phnum, 3
// e_phentsize, 4 e_type, 5 e_machine; of program header `index` (modulo 4) 6 p_type, 7 p_offset, 8
// p_paddr, 9 p_filesz, 10 p_memsz, 11 p_align; of note `index` (modulo 2) 12 n_namesz, 13 n_descsz,
// 14 n_type, 15 its descriptor. `kick` loads for the protocol `queue` (modulo 3).
#pragma once

#include "guestproof/testing/harness/loader_harness.h"

namespace guestproof::testing {

class ElfHarness final : public ImageHarness {
 public:
  ElfHarness();

  [[nodiscard]] std::string_view name() const override { return "elf"; }

 private:
  [[nodiscard]] Bytes make(std::uint16_t index) const override;
  [[nodiscard]] ImageField field(const Record& record) const override;
  void load(std::uint8_t queue) override;

  ElfModel model_;
  Depth::Index parsed_, pvh_;
};

}  // namespace guestproof::testing
