#include "guestproof/kvm/vcpu.h"

#include <errno.h>

#include "guestproof/kvm/ioctls.h"

namespace guestproof::kvm {
namespace {

template <class T, class... Kinds>
constexpr bool IsOneOf = (std::is_same_v<T, Kinds> || ...);

/// Whatever the machine has, the kernel writes as much.
constexpr std::size_t kSmallestXsave = 4096;

bool is_fault(const Error& error) { return error.value() == EFAULT || error.value() == EHWPOISON; }

/// api.rst, struct kvm_run: of these the guest's state is whole after the next KVM_RUN only.
bool is_completed_by_the_next_run(const Exit& exit) {
  const auto is_one = []<class T>(const T&) {
    return IsOneOf<T, IoOut, IoIn, MmioRead, MmioWrite, Hypercall, Rdmsr, Wrmsr, XenHypercall,
                   HypervHypercall, Osi, PaprHcall, Epr, RiscvSbi, RiscvCsr>;
  };
  return std::visit(is_one, exit);
}

}  // namespace

Result<Vcpu> Vcpu::adopt(Fd fd, const VcpuSizes& sizes) {
  auto mapping = Mapping::of(fd.get(), sizes.run);
  if (!mapping) return std::unexpected(mapping.error());
  const auto page = RunPage::over(mapping->slice());
  if (!page) return std::unexpected(page.error());
  return Vcpu(std::move(fd), std::move(*mapping), *page, std::max(sizes.xsave, kSmallestXsave));
}

Result<Exit> Vcpu::run() {
  auto exit = run_once();
  // A page that says nonsense may have meant an access.
  pending_ = exit ? is_completed_by_the_next_run(*exit) : exit.error().as<PageError>().has_value();
  return exit;
}

Result<Exit> Vcpu::complete() {
  const bool asked = page_.exit_is_requested();
  page_.request_exit(true);
  auto exit = run();
  page_.request_exit(asked);
  return exit;
}

Result<Exit> Vcpu::run_once() {
  const auto done = call(fd(), Ioctl::kRun);
  if (done) return page_.decode();
  // EAGAIN: a vCPU that waited for its start was woken, by another's INIT say, and waits again.
  if (done.error().value() == EINTR || done.error().value() == EAGAIN) return Intr{};
  if (is_fault(done.error())) {
    // The page tells of the fault where KVM has something to tell.
    const auto exit = page_.decode();
    if (exit && std::holds_alternative<MemoryFault>(*exit)) return exit;
  }
  return std::unexpected(done.error());
}

Result<CoalescedRing> Vcpu::coalesced_ring() const {
  const auto page = host_page_size();
  const auto offset = KVM_COALESCED_MMIO_PAGE_OFFSET * page;
  if (!range_within(offset, page, mapping_.size()))
    return fail(PageError::kRingLength, mapping_.size(), offset + page);
  return CoalescedRing::over(mapping_.slice().subslice(offset, page));
}

Result<MappedDirtyRing> Vcpu::map_dirty_ring(std::uint32_t bytes, std::size_t next) const {
  auto mapping = Mapping::of(fd(), bytes, KVM_DIRTY_LOG_PAGE_OFFSET * host_page_size());
  if (!mapping) return std::unexpected(mapping.error());
  const auto ring = DirtyRing::over(mapping->slice(), next);
  if (!ring) return std::unexpected(ring.error());
  return MappedDirtyRing{std::move(*mapping), *ring};
}

Result<void> Vcpu::enable_capability(Capability capability,
                                     const std::array<std::uint64_t, 4>& arguments,
                                     std::uint32_t flags) const {
  return kvm::enable_capability(fd(), capability, arguments, flags);
}

Result<kvm_mp_state> Vcpu::get_mp_state() const {
  return kvm::get<kvm_mp_state>(fd(), Ioctl::kGetMpState);
}

Result<void> Vcpu::set_mp_state(const kvm_mp_state& state) const {
  return kvm::set(fd(), Ioctl::kSetMpState, state);
}

Result<void> Vcpu::set_guest_debug(const kvm_guest_debug& debug) const {
  return kvm::set(fd(), Ioctl::kSetGuestDebug, debug);
}

Result<void> Vcpu::set_signal_mask(const ::sigset_t& mask) const {
  // The kernel's own set of 64 signals; the C library's is larger.
  struct {
    std::uint32_t length = sizeof(std::uint64_t);
    std::array<std::byte, sizeof(std::uint64_t)> signals;
  } request;
  static_assert(sizeof request == 12);
  std::memcpy(request.signals.data(), &mask, request.signals.size());
  return kvm::set(fd(), Ioctl::kSetSignalMask, request);
}

Result<void> Vcpu::clear_signal_mask() const { return order(fd(), Ioctl::kSetSignalMask); }

Result<std::uint64_t> Vcpu::pre_fault_memory(std::uint64_t address, std::uint64_t size) const {
  kvm_pre_fault_memory request{};
  request.gpa = address;
  request.size = size;
  if (const auto done = call_with(fd(), Ioctl::kPreFaultMemory, request); !done)
    return std::unexpected(done.error());
  return request.size;
}

Result<Statistics> Vcpu::statistics() const {
  const auto stats = call(fd(), Ioctl::kGetStatsFd);
  if (!stats) return std::unexpected(stats.error());
  return Statistics::read(Fd(*stats));
}

}  // namespace guestproof::kvm
