// Puts the kernel, its initrd and what it is told into guest memory.
//
// Thread-safety: functions; nobody else uses guest memory yet.
#pragma once

#include <string_view>

#include "guestproof/loader/x86_boot.h"
#include "guestproof/memory/mapped_memory.h"
#include "vmm/config.h"

namespace guestproof::vmm::x86_64 {

/// What is put before every kernel command line. Linux on hardware-reduced ACPI without EFI finds
/// no way to reboot by itself; a kernel that panicked is to leave the machine. What comes later on
/// the line counts.
inline constexpr std::string_view kKernelArguments = "reboot=k panic=-1";

/// `rsdp` is where ACPI's tables are. Returns the registers of the processor that boots.
/// Complaints: kSetup: a file that cannot be read or is no kernel, too little memory for it.
[[nodiscard]] Outcome<loader::x86::BootState> load_kernel(const Config& config,
                                                          const MappedMemory& memory,
                                                          GuestAddress rsdp);

}  // namespace guestproof::vmm::x86_64
