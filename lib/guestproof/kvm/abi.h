// KVM's binary interface: the target's <linux/kvm.h>, and what kernels newer than those headers
// added.
//
// Every addition stands under the guard of its own macro, so that newer headers win. Names are the
// kernel's. Not here: anything that calls the kernel (ioctls.h).
#pragma once

#include <linux/stddef.h>

// Up to Linux 6.6 the headers begin a flexible array with an empty structure, which in C++ has a
// size: entries, and the sizes in ioctl numbers, would not be where the kernel has them.
#ifdef __DECLARE_FLEX_ARRAY
#undef __DECLARE_FLEX_ARRAY
#define __DECLARE_FLEX_ARRAY(Type, name) __extension__ Type name[0]
#endif

#include <linux/kvm.h>

#include <cstddef>
#include <cstdint>

// Linux 6.8: a fault that user space has to resolve (KVM_CAP_MEMORY_FAULT_INFO).
#ifndef KVM_EXIT_MEMORY_FAULT
#define KVM_EXIT_MEMORY_FAULT 39
#define KVM_MEMORY_EXIT_FLAG_PRIVATE (1ULL << 3)
#define KVM_CAP_MEMORY_FAULT_INFO 232
#endif

// Linux 6.8: memory that the host cannot read, and which pages of a guest are such (guest_memfd).
#ifndef KVM_SET_USER_MEMORY_REGION2
#define KVM_MEM_GUEST_MEMFD (1UL << 2)
#define KVM_CAP_USER_MEMORY2 231
struct kvm_userspace_memory_region2 {
  __u32 slot;
  __u32 flags;
  __u64 guest_phys_addr;
  __u64 memory_size;
  __u64 userspace_addr;
  __u64 guest_memfd_offset;
  __u32 guest_memfd;
  __u32 pad1;
  __u64 pad2[14];
};
#define KVM_SET_USER_MEMORY_REGION2 _IOW(KVMIO, 0x49, struct kvm_userspace_memory_region2)
#endif
#ifndef KVM_SET_MEMORY_ATTRIBUTES
#define KVM_CAP_MEMORY_ATTRIBUTES 233
#define KVM_MEMORY_ATTRIBUTE_PRIVATE (1ULL << 3)
struct kvm_memory_attributes {
  __u64 address;
  __u64 size;
  __u64 attributes;
  __u64 flags;
};
#define KVM_SET_MEMORY_ATTRIBUTES _IOW(KVMIO, 0xd2, struct kvm_memory_attributes)
#endif
#ifndef KVM_CREATE_GUEST_MEMFD
#define KVM_CAP_GUEST_MEMFD 234
struct kvm_create_guest_memfd {
  __u64 size;
  __u64 flags;
  __u64 reserved[6];
};
#define KVM_CREATE_GUEST_MEMFD _IOWR(KVMIO, 0xd4, struct kvm_create_guest_memfd)
#endif

// Linux 6.8: kinds of x86 machines (KVM_CAP_VM_TYPES).
#ifndef KVM_CAP_VM_TYPES
#define KVM_CAP_VM_TYPES 235
#endif
#ifndef KVM_X86_DEFAULT_VM
#define KVM_X86_DEFAULT_VM 0
#define KVM_X86_SW_PROTECTED_VM 1
#endif

// Linux 6.11: guest memory mapped before the guest asks for it.
#ifndef KVM_PRE_FAULT_MEMORY
#define KVM_CAP_PRE_FAULT_MEMORY 236
struct kvm_pre_fault_memory {
  __u64 gpa;
  __u64 size;
  __u64 flags;
  __u64 padding[5];
};
#define KVM_PRE_FAULT_MEMORY _IOWR(KVMIO, 0xd5, struct kvm_pre_fault_memory)
#endif

namespace guestproof::kvm {

static_assert(offsetof(kvm_coalesced_mmio_ring, coalesced_mmio) == 8);
static_assert(offsetof(kvm_irq_routing, entries) == 8 && sizeof(kvm_irq_routing) == 8);
static_assert(offsetof(kvm_signal_mask, sigset) == 4 && sizeof(kvm_signal_mask) == 4);
static_assert(offsetof(kvm_stats_desc, name) == 16 && sizeof(kvm_stats_desc) == 16);
#if defined(__x86_64__)
static_assert(offsetof(kvm_cpuid2, entries) == 8 && sizeof(kvm_cpuid2) == 8);
static_assert(offsetof(kvm_msrs, entries) == 8 && sizeof(kvm_msrs) == 8);
static_assert(offsetof(kvm_msr_list, indices) == 4 && sizeof(kvm_msr_list) == 4);
static_assert(offsetof(kvm_pmu_event_filter, events) == 32 && sizeof(kvm_pmu_event_filter) == 32);
static_assert(offsetof(kvm_xsave, extra) == 4096 && sizeof(kvm_xsave) == 4096);
#else
static_assert(offsetof(kvm_reg_list, reg) == 8 && sizeof(kvm_reg_list) == 8);
#endif

/// What stands in kvm_run's union for KVM_EXIT_MEMORY_FAULT.
struct RunMemoryFault {
  std::uint64_t flags;  // 0
  std::uint64_t gpa;    // 8
  std::uint64_t size;   // 16
};
static_assert(sizeof(RunMemoryFault) == 24 && offsetof(RunMemoryFault, size) == 16);

}  // namespace guestproof::kvm
