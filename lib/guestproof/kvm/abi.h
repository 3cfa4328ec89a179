// KVM's binary interface: the target's <linux/kvm.h>, and what kernels newer than those headers
// added. Debian 12's headers are Linux 6.1's; the additions reach to 6.19.
//
// Every addition stands under the guard of its own macro, so that newer headers win. Names and
// numbers are the kernel's (include/uapi/linux/kvm.h and arch/*/include/uapi/asm/kvm.h). The sizes
// and offsets of what is used here are asserted in layout.cc. Not here: anything that calls the
// kernel (ioctls.h); members that newer kernels appended to structures and enumerations that the
// headers have; what SEV-SNP and TDX commands point to; other architectures' additions.
#pragma once

#include <linux/stddef.h>

// Up to Linux 6.6 the headers begin a flexible array with an empty structure, which in C++ has a
// size: entries, and the sizes in ioctl numbers, would not be where the kernel has them.
#ifdef __DECLARE_FLEX_ARRAY
#undef __DECLARE_FLEX_ARRAY
// NOLINTNEXTLINE(bugprone-reserved-identifier)
#define __DECLARE_FLEX_ARRAY(Type, name) __extension__ Type name[0]
#endif

#include <linux/kvm.h>
static_assert(sizeof(kvm_signal_mask) == 4, "<linux/kvm.h> may not come before this header");

#include <cstddef>
#include <cstdint>

#if defined(__riscv)
// Here kvm_guest_debug holds an empty structure, and 8 bytes besides.
static_assert(sizeof(kvm_guest_debug_arch) == 1);
#undef KVM_SET_GUEST_DEBUG
#define KVM_SET_GUEST_DEBUG _IOC(_IOC_WRITE, KVMIO, 0x9b, 8)
#endif

// Linux 6.3: masks in event filters (x86), dirty bitmap beside a dirty ring.
#ifndef KVM_CAP_DIRTY_LOG_RING_WITH_BITMAP
#define KVM_CAP_DIRTY_LOG_RING_WITH_BITMAP 225
#endif
#ifndef KVM_CAP_PMU_EVENT_MASKED_EVENTS
#define KVM_CAP_PMU_EVENT_MASKED_EVENTS 226
#endif

// Linux 6.4: a machine's counters count from an offset (arm64).
#ifndef KVM_CAP_COUNTER_OFFSET
#define KVM_CAP_COUNTER_OFFSET 227
#endif
#if defined(__aarch64__) && !defined(KVM_ARM_SET_COUNTER_OFFSET)
struct kvm_arm_counter_offset {
  __u64 counter_offset;
  __u64 reserved;
};
#define KVM_ARM_SET_COUNTER_OFFSET _IOW(KVMIO, 0xb5, struct kvm_arm_counter_offset)
#endif

// Linux 6.6: huge pages split ahead of dirty logging (arm64); the interrupt controller of riscv.
#ifndef KVM_CAP_ARM_EAGER_SPLIT_CHUNK_SIZE
#define KVM_CAP_ARM_EAGER_SPLIT_CHUNK_SIZE 228
#endif
#ifndef KVM_CAP_ARM_SUPPORTED_BLOCK_SIZES
#define KVM_CAP_ARM_SUPPORTED_BLOCK_SIZES 229
#endif
#ifndef KVM_DEV_TYPE_RISCV_AIA
#define KVM_DEV_TYPE_RISCV_AIA 11
#endif

// Linux 6.7: which bits of identification registers can be set (arm64); LoongArch.
#ifndef KVM_CAP_ARM_SUPPORTED_REG_MASK_RANGES
#define KVM_CAP_ARM_SUPPORTED_REG_MASK_RANGES 230
#endif
#if defined(__aarch64__) && !defined(KVM_ARM_GET_REG_WRITABLE_MASKS)
struct reg_mask_range {
  __u64 addr;  // of an array of KVM_ARM_FEATURE_ID_RANGE_SIZE masks
  __u32 range;
  __u32 reserved[13];
};
#define KVM_ARM_GET_REG_WRITABLE_MASKS _IOR(KVMIO, 0xb6, struct reg_mask_range)
#define KVM_ARM_FEATURE_ID_RANGE 0
#define KVM_ARM_FEATURE_ID_RANGE_SIZE (3 * 8 * 8)
#endif
#ifndef KVM_EXIT_LOONGARCH_IOCSR
#define KVM_EXIT_LOONGARCH_IOCSR 38
#endif

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

// Kinds of x86 machines (KVM_CAP_VM_TYPES): Linux 6.8, then SEV in 6.10, SNP in 6.11, TDX by 6.15.
#ifndef KVM_CAP_VM_TYPES
#define KVM_CAP_VM_TYPES 235
#endif
#ifndef KVM_X86_DEFAULT_VM
#define KVM_X86_DEFAULT_VM 0
#define KVM_X86_SW_PROTECTED_VM 1
#endif
#ifndef KVM_X86_SEV_VM
#define KVM_X86_SEV_VM 2
#define KVM_X86_SEV_ES_VM 3
#endif
#ifndef KVM_X86_SNP_VM
#define KVM_X86_SNP_VM 4
#endif
#ifndef KVM_X86_TDX_VM
#define KVM_X86_TDX_VM 5
#endif

// Linux 6.11: guest memory mapped before the guest asks for it; the period of the APIC bus (x86).
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
#ifndef KVM_CAP_X86_APIC_BUS_CYCLES_NS
#define KVM_CAP_X86_APIC_BUS_CYCLES_NS 237
#endif

// By Linux 6.15: whether a nested guest ran (x86, in kvm_run's flags); registers that name a
// machine (arm64).
#ifndef KVM_CAP_X86_GUEST_MODE
#define KVM_CAP_X86_GUEST_MODE 238
#endif
#if defined(__x86_64__) && !defined(KVM_RUN_X86_GUEST_MODE)
#define KVM_RUN_X86_GUEST_MODE (1 << 2)
#endif
#ifndef KVM_CAP_ARM_WRITABLE_IMP_ID_REGS
#define KVM_CAP_ARM_WRITABLE_IMP_ID_REGS 239
#endif

// By Linux 6.19: nested machines (arm64), reset by register (riscv), guest_memfd that can be
// mapped, exits of TDX and of synchronous external aborts (arm64).
#ifndef KVM_CAP_ARM_EL2
#define KVM_CAP_ARM_EL2 240
#define KVM_CAP_ARM_EL2_E2H0 241
#endif
#ifndef KVM_CAP_RISCV_MP_STATE_RESET
#define KVM_CAP_RISCV_MP_STATE_RESET 242
#endif
#ifndef KVM_CAP_ARM_CACHEABLE_PFNMAP_SUPPORTED
#define KVM_CAP_ARM_CACHEABLE_PFNMAP_SUPPORTED 243
#endif
#ifndef KVM_CAP_GUEST_MEMFD_FLAGS
#define KVM_CAP_GUEST_MEMFD_FLAGS 244
#define GUEST_MEMFD_FLAG_MMAP (1ULL << 0)
#define GUEST_MEMFD_FLAG_INIT_SHARED (1ULL << 1)
#endif
#ifndef KVM_EXIT_TDX
#define KVM_EXIT_TDX 40
#define KVM_SYSTEM_EVENT_TDX_FATAL 7
#endif
#ifndef KVM_EXIT_ARM_SEA
#define KVM_EXIT_ARM_SEA 41
#define KVM_EXIT_ARM_SEA_FLAG_GPA_VALID (1ULL << 0)
#define KVM_CAP_ARM_SEA_TO_USER 245
#endif

#if defined(__aarch64__)
// Linux 6.4: hypercalls handed to user space; the page of the dirty ring, which
// older headers say is 0. By 6.15: more of EL2.
#ifndef KVM_ARM_VM_SMCCC_CTRL
#define KVM_ARM_VM_SMCCC_CTRL 0
#define KVM_ARM_VM_SMCCC_FILTER 0
#define KVM_HYPERCALL_EXIT_SMC (1U << 0)
#define KVM_HYPERCALL_EXIT_16BIT (1U << 1)
#define KVM_SMCCC_FILTER_HANDLE 0
#define KVM_SMCCC_FILTER_DENY 1
#define KVM_SMCCC_FILTER_FWD_TO_USER 2
struct kvm_smccc_filter {
  __u32 base;
  __u32 nr_functions;
  __u8 action;
  __u8 pad[15];
};
#endif
#if KVM_DIRTY_LOG_PAGE_OFFSET == 0
#undef KVM_DIRTY_LOG_PAGE_OFFSET
#define KVM_DIRTY_LOG_PAGE_OFFSET 64
#endif
#ifndef KVM_ARM_VCPU_HAS_EL2
#define KVM_ARM_VCPU_HAS_EL2 7
#endif
#ifndef KVM_ARM_VCPU_HAS_EL2_E2H0
#define KVM_ARM_VCPU_HAS_EL2_E2H0 8
#endif
#ifndef KVM_ARM_VCPU_TIMER_IRQ_HVTIMER
#define KVM_ARM_VCPU_TIMER_IRQ_HVTIMER 2
#define KVM_ARM_VCPU_TIMER_IRQ_HPTIMER 3
#endif
#ifndef KVM_DEV_ARM_VGIC_GRP_MAINT_IRQ
#define KVM_DEV_ARM_VGIC_GRP_MAINT_IRQ 9
#endif
#elif defined(__riscv)
// Linux 6.4 to 6.8: registers have subtypes, and there are more of them. By 6.19: a dirty ring.
#ifndef KVM_REG_RISCV_SUBTYPE_SHIFT
#define KVM_REG_RISCV_SUBTYPE_MASK 0x0000000000FF0000
#define KVM_REG_RISCV_SUBTYPE_SHIFT 16
#define KVM_REG_RISCV_CSR_GENERAL (0x0 << KVM_REG_RISCV_SUBTYPE_SHIFT)
#define KVM_REG_RISCV_CSR_AIA (0x1 << KVM_REG_RISCV_SUBTYPE_SHIFT)
struct kvm_riscv_aia_csr {
  unsigned long siselect;
  unsigned long iprio1;
  unsigned long iprio2;
  unsigned long sieh;
  unsigned long siph;
  unsigned long iprio1h;
  unsigned long iprio2h;
};
#define KVM_REG_RISCV_SBI_EXT (0x08 << KVM_REG_RISCV_TYPE_SHIFT)
#define KVM_REG_RISCV_SBI_SINGLE (0x0 << KVM_REG_RISCV_SUBTYPE_SHIFT)
#define KVM_REG_RISCV_SBI_MULTI_EN (0x1 << KVM_REG_RISCV_SUBTYPE_SHIFT)
#define KVM_REG_RISCV_SBI_MULTI_DIS (0x2 << KVM_REG_RISCV_SUBTYPE_SHIFT)
#endif
#ifndef KVM_REG_RISCV_ISA_SINGLE
#define KVM_REG_RISCV_ISA_SINGLE (0x0 << KVM_REG_RISCV_SUBTYPE_SHIFT)
#define KVM_REG_RISCV_ISA_MULTI_EN (0x1 << KVM_REG_RISCV_SUBTYPE_SHIFT)
#define KVM_REG_RISCV_ISA_MULTI_DIS (0x2 << KVM_REG_RISCV_SUBTYPE_SHIFT)
#endif
#ifndef KVM_REG_RISCV_VECTOR
#define KVM_REG_RISCV_VECTOR (0x09 << KVM_REG_RISCV_TYPE_SHIFT)
#endif
#ifndef KVM_REG_RISCV_CSR_SMSTATEEN
#define KVM_REG_RISCV_CSR_SMSTATEEN (0x2 << KVM_REG_RISCV_SUBTYPE_SHIFT)
struct kvm_riscv_smstateen_csr {
  unsigned long sstateen0;
};
#endif
#ifndef KVM_REG_RISCV_SBI_STATE
#define KVM_REG_RISCV_SBI_STATE (0x0a << KVM_REG_RISCV_TYPE_SHIFT)
#define KVM_REG_RISCV_SBI_STA (0x0 << KVM_REG_RISCV_SUBTYPE_SHIFT)
struct kvm_riscv_sbi_sta {
  unsigned long shmem_lo;
  unsigned long shmem_hi;
};
#endif
#if KVM_DIRTY_LOG_PAGE_OFFSET == 0
#undef KVM_DIRTY_LOG_PAGE_OFFSET
#define KVM_DIRTY_LOG_PAGE_OFFSET 64
#endif

// Linux 6.6: the attributes of KVM_DEV_TYPE_RISCV_AIA.
#ifndef KVM_DEV_RISCV_AIA_GRP_CONFIG
#define KVM_DEV_RISCV_APLIC_SIZE 0x4000
#define KVM_DEV_RISCV_IMSIC_SIZE 0x1000
#define KVM_DEV_RISCV_AIA_GRP_CONFIG 0
#define KVM_DEV_RISCV_AIA_CONFIG_MODE 0
#define KVM_DEV_RISCV_AIA_CONFIG_IDS 1
#define KVM_DEV_RISCV_AIA_CONFIG_SRCS 2
#define KVM_DEV_RISCV_AIA_CONFIG_GROUP_BITS 3
#define KVM_DEV_RISCV_AIA_CONFIG_GROUP_SHIFT 4
#define KVM_DEV_RISCV_AIA_CONFIG_HART_BITS 5
#define KVM_DEV_RISCV_AIA_CONFIG_GUEST_BITS 6
#define KVM_DEV_RISCV_AIA_MODE_EMUL 0
#define KVM_DEV_RISCV_AIA_MODE_HWACCEL 1
#define KVM_DEV_RISCV_AIA_MODE_AUTO 2
#define KVM_DEV_RISCV_AIA_GRP_ADDR 1
#define KVM_DEV_RISCV_AIA_ADDR_APLIC 0
#define KVM_DEV_RISCV_AIA_ADDR_IMSIC(vcpu) (1 + (vcpu))
#define KVM_DEV_RISCV_AIA_GRP_CTRL 2
#define KVM_DEV_RISCV_AIA_CTRL_INIT 0
#define KVM_DEV_RISCV_AIA_GRP_APLIC 3
#define KVM_DEV_RISCV_AIA_GRP_IMSIC 4
#endif
#endif

namespace guestproof::kvm {

/// What stands in kvm_run's union for KVM_EXIT_MEMORY_FAULT.
struct RunMemoryFault {
  std::uint64_t flags;  // 0
  std::uint64_t gpa;    // 8
  std::uint64_t size;   // 16
};
static_assert(sizeof(RunMemoryFault) == 24 && offsetof(RunMemoryFault, size) == 16);

}  // namespace guestproof::kvm
