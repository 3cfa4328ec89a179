#include "guestproof/loader/boot_params.h"

#include "guestproof/base/checked.h"
#include "guestproof/loader/cmdline.h"

namespace guestproof::loader {
namespace {

/// initrd_addr_max of every bzImage that Linux makes.
constexpr std::uint32_t kUsualInitrdEnd = 0x7fff'ffff;

std::uint32_t low(std::uint64_t value) { return static_cast<std::uint32_t>(value); }
std::uint32_t high(std::uint64_t value) { return static_cast<std::uint32_t>(value >> 32); }

}  // namespace

SetupHeader default_setup_header() {
  SetupHeader header{};
  header.boot_flag = kBootFlag;
  header.header = kSetupMagic;
  header.version = kProtocolWith64Bit;
  header.loadflags = LOADED_HIGH;
  header.initrd_addr_max = kUsualInitrdEnd;
  header.xloadflags = XLF_KERNEL_64;
  header.cmdline_size = Cmdline::kUsualLimit;
  return header;
}

Result<BootParams> make_boot_params(const LinuxBoot& boot) {
  const auto& [header, kernel, cmdline, initrd, rsdp, memory] = boot;
  if (memory.size() > kMaxMapEntries)
    return fail(BootError::kMapEntries, memory.size(), kMaxMapEntries);
  if (!range_within(initrd.base.raw(), initrd.size, kPhysicalEnd))
    return fail(BootError::kRangeEnd, initrd.base.raw(), initrd.size);

  BootParams params{};
  params.hdr = header;
  params.hdr.type_of_loader = kUndefinedLoader;
  params.hdr.code32_start = low(kernel.raw());
  params.hdr.setup_data = 0;  // a list that kernels follow; what a file has there is no address
  params.hdr.cmd_line_ptr = low(cmdline.raw());
  params.ext_cmd_line_ptr = high(cmdline.raw());
  params.hdr.ramdisk_image = low(initrd.base.raw());
  params.ext_ramdisk_image = high(initrd.base.raw());
  params.hdr.ramdisk_size = low(initrd.size);
  params.ext_ramdisk_size = high(initrd.size);
  params.acpi_rsdp_addr = rsdp.raw();
  params.e820_entries = static_cast<std::uint8_t>(memory.size());
  for (std::size_t i = 0; i < memory.size(); ++i)
    params.e820_table[i] = {memory[i].range.base.raw(), memory[i].range.size,
                            static_cast<std::uint32_t>(memory[i].type)};
  return params;
}

}  // namespace guestproof::loader
