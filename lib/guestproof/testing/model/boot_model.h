// A second opinion on what a kernel is told at boot: the memory map, the initrd's place, the
// command line, the zero page, hvm_start_info. It shares no code with the loaders: maps are made of
// every stretch between two borders, places are tried one by one, structures are bytes at plain
// offsets.
//
// Thread-safety: none.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "guestproof/testing/model/kernel_model.h"
#include "guestproof/testing/model/model_memory.h"

namespace guestproof::testing {

struct ModelRange {
  std::uint64_t base = 0;
  std::uint64_t size = 0;
  std::uint32_t type = 1;

  friend bool operator==(const ModelRange&, const ModelRange&) = default;
};
using ModelRanges = std::vector<ModelRange>;

[[nodiscard]] ModelError model_memory_map(const ModelRanges& ram, const ModelRanges& reserved,
                                          ModelRanges& map);
[[nodiscard]] ModelError model_place_initrd(const ModelRanges& ram, const ModelRanges& taken,
                                            std::uint64_t size, std::uint64_t last,
                                            std::uint64_t& place);

struct ModelBoot {
  std::vector<std::uint8_t> header;  // from 0x1f1 to 0x290 of the kernel's file
  std::uint64_t kernel = 0;
  std::uint64_t cmdline = 0;
  std::uint64_t initrd = 0;
  std::uint64_t initrd_size = 0;
  std::uint64_t rsdp = 0;
  ModelRanges map;
};
/// Written at `address`, or nothing is.
[[nodiscard]] ModelError model_zero_page(const ModelMemory& memory, const ModelBoot& boot,
                                         std::uint64_t address);
[[nodiscard]] ModelError model_start_info(const ModelMemory& memory, const ModelBoot& boot,
                                          std::uint64_t address);

class CmdlineModel {
 public:
  explicit CmdlineModel(std::size_t limit) : limit_(limit) {}

  [[nodiscard]] ModelError append(std::string_view piece);
  [[nodiscard]] ModelError load(const ModelMemory& memory, std::uint64_t base,
                                std::uint64_t room) const;
  [[nodiscard]] std::string text() const;

 private:
  std::size_t limit_;
  std::vector<std::string> pieces_;
};

}  // namespace guestproof::testing
