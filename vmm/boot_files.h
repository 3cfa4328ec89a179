// What every boot takes from the Config: the kernel's file, its command line, the initrd.
//
// Thread-safety: functions; nobody else uses guest memory yet.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "guestproof/loader/cmdline.h"
#include "guestproof/loader/image.h"
#include "guestproof/memory/mapped_memory.h"
#include "vmm/config.h"

namespace guestproof::vmm {

/// Kernels with all their debug information have less.
inline constexpr std::size_t kMaxKernelBytes = std::size_t{1} << 30;

/// Complaints: kSetup.
[[nodiscard]] Outcome<std::vector<std::byte>> read_kernel(const Config& config);
/// The kernel is no kernel, or cannot be where it is to be.
[[nodiscard]] std::unexpected<Complaint> bad_kernel(const Config& config, const Error& why);

/// `before`, then the Config's own, which counts where both say something of one thing. `limit` is
/// the kernel's. Complaints: kSetup.
[[nodiscard]] Outcome<loader::Cmdline> make_cmdline(const Config& config, std::string_view before,
                                                    std::size_t limit);

/// Into the highest RAM up to `last_address` that is not `taken`; empty when there is none to load.
/// Complaints: kSetup.
[[nodiscard]] Outcome<loader::GuestRange> load_initrd(const Config& config,
                                                      const MappedMemory& memory,
                                                      std::span<const loader::GuestRange> taken,
                                                      std::uint64_t last_address);

}  // namespace guestproof::vmm
