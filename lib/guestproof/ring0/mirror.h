// What a guest finds in its address space: this process's, page by page as it is touched, and
// guest-physical memory in a window of its own.
//
// At a fault of the guest the process's map is asked what is at the address; a piece of it becomes
// a memory slot at guest-physical addresses that are handed out one after the other, and the
// guest's page tables get the rights that the mapping has. So it does not matter how large this
// process's address space is (AddressSanitizer's shadow has terabytes), how few guest-physical
// address bits the processor has, or what is mapped after the guest started.
//
//   0x0000'0000'0000'0000  this process
//   kWindow + P            guest-physical address P, where the test has RAM or a device
//   kSupervisor            what the guest needs to run at all (supervisor.h)
//
// The window is where programs have no memory: it lies above and below what Linux, the dynamic
// linker and sanitizers use on both architectures. It is no kernel's address, because
// AddressSanitizer looks into its shadow at each access, and that of the upper half is nowhere.
//
// Thread-safety: resolve() by the threads of all vCPUs.
#pragma once

#include <mutex>
#include <vector>

#include "guestproof/kvm/vm.h"
#include "guestproof/ring0/maps.h"
#include "guestproof/ring0/page_tables.h"

namespace guestproof::ring0 {

inline constexpr std::uint64_t kWindow = 0x2000'0000'0000;
inline constexpr std::uint64_t kWindowSize = 1ULL << 40;
inline constexpr std::uint64_t kSupervisor = 0xffff'c000'0000'0000;

/// Guest-physical addresses [base, base + size) that a test asked for.
struct PhysicalRange {
  std::uint64_t base = 0;
  std::uint64_t size = 0;
  bool device = false;  // else RAM
};

/// What the guest was about to do.
struct Access {
  bool write = false;
  bool execute = false;
};

enum class Resolution : std::uint8_t {
  kMapped,     // the guest may try again
  kNothing,    // there is nothing at the address
  kForbidden,  // there is, and it may not be accessed like that
};

class Mirror {
 public:
  /// All outlive it. Slots from `first_slot` on and guest-physical addresses from `physical` on are
  /// its to hand out, up to `slots` and `physical_end`. `user`: the guest runs at the lower
  /// privilege.
  struct Place {
    const kvm::Vm& vm;
    std::uint32_t first_slot;
    std::uint32_t slots;
    std::uint64_t physical;
    std::uint64_t physical_end;
    bool user;
  };
  Mirror(const Place& place, PageTables& tables, AddressMap map, std::vector<PhysicalRange> ranges)
      : place_(place), tables_(tables), map_(std::move(map)), ranges_(std::move(ranges)) {}

  /// The guest faulted. Errors: kPageTables, kTableEntry, kSlots, kGuestPhysical; AddressMap's;
  /// kvm's kSetUserMemoryRegion.
  [[nodiscard]] Result<Resolution> resolve(std::uint64_t address, Access access);

 private:
  [[nodiscard]] Result<Resolution> resolve_window(std::uint64_t physical, Access access);
  [[nodiscard]] Result<Resolution> resolve_process(std::uint64_t address, Access access);
  /// The process's memory at guest-physical addresses; where.
  [[nodiscard]] Result<std::uint64_t> add_slot(std::uint64_t address, std::uint64_t size);

  std::mutex mutex_;
  Place place_;
  PageTables& tables_;
  AddressMap map_;
  std::vector<PhysicalRange> ranges_;
};

}  // namespace guestproof::ring0
