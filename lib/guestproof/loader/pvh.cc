#include "guestproof/loader/pvh.h"

#include "guestproof/base/bytes.h"
#include "guestproof/base/checked.h"

namespace guestproof::loader {

Result<std::vector<std::byte>> make_start_info(const PvhBoot& boot, GuestAddress start_info) {
  if (boot.memory.size() > kMaxMapEntries)
    return fail(BootError::kMapEntries, boot.memory.size(), kMaxMapEntries);
  if (!range_within(boot.initrd.base.raw(), boot.initrd.size, kPhysicalEnd))
    return fail(BootError::kRangeEnd, boot.initrd.base.raw(), boot.initrd.size);

  const bool initrd = boot.initrd.size != 0;
  const auto modules = start_info.raw() + sizeof(HvmStartInfo);
  HvmStartInfo info{};
  info.magic = XEN_HVM_START_MAGIC_VALUE;
  info.version = 1;
  info.nr_modules = initrd ? 1 : 0;
  info.modlist_paddr = initrd ? modules : 0;
  info.cmdline_paddr = boot.cmdline.raw();
  info.rsdp_paddr = boot.rsdp.raw();
  info.memmap_paddr = modules + (initrd ? sizeof(HvmModlistEntry) : 0);
  info.memmap_entries = static_cast<std::uint32_t>(boot.memory.size());

  std::vector<std::byte> bytes;
  append_object(bytes, info);
  if (initrd)
    append_object(bytes, HvmModlistEntry{boot.initrd.base.raw(), boot.initrd.size, {}, {}});
  for (const auto& [range, type] : boot.memory)
    append_object(bytes, HvmMemmapTableEntry{
                             range.base.raw(), range.size, static_cast<std::uint32_t>(type), {}});
  return bytes;
}

}  // namespace guestproof::loader
