#if defined(__x86_64__)

#include "guestproof/ring0/visitor.h"

#include "guestproof/base/bytes.h"
#include "guestproof/kvm/kvm.h"
#include "guestproof/ring0/machine.h"

namespace guestproof::ring0 {

Visitor::Visitor(const Body& body, const Channel& channel)
    : body_(body), channel_(channel), guest_{.channel = &channel, .vcpu = 0, .on_host = false} {}

Visitor::~Visitor() {
  leaving_ = true;
  leaving_.notify_all();
  if (thread_.joinable()) thread_.join();
}

Result<std::unique_ptr<Visitor>> Visitor::create(const Body& body, const Channel& channel) {
  const auto kvm = kvm::Kvm::open();
  if (!kvm) return std::unexpected(kvm.error());
  const auto processor = processor_of(*kvm);
  if (!processor) return std::unexpected(processor.error());
  std::unique_ptr<Visitor> visitor(new Visitor(body, channel));
  auto window = Area::reserve(kWindow, kWindowSize);
  if (!window) return std::unexpected(window.error());
  visitor->window_.emplace(std::move(*window));
  for (auto [area, size] : {std::pair(&visitor->memory_, Supervisor::kSize),
                            std::pair(&visitor->stack_, std::uint64_t{kStackSize})}) {
    auto made = Area::create(size);
    if (!made) return std::unexpected(made.error());
    area->emplace(std::move(*made));
  }
  visitor->physical_ = 1ULL << (processor->address_bits - 1);
  auto& supervisor =
      visitor->supervisor_.emplace(visitor->memory_->bytes(), visitor->physical_, false);
  auto ok = supervisor.build(1);
  if (ok)
    ok = supervisor.tables().map(kKernelBase, kKernelBase, kKernelSize,
                                 {.write = true, .execute = true});
  if (!ok) return std::unexpected(ok.error());

  std::promise<std::uint64_t> pointer;
  visitor->thread_ = std::thread([&, self = visitor.get()] { self->be_thread(pointer); });
  visitor->arrival_ =
      supervisor.arrival(0, {.entry = reinterpret_cast<std::uint64_t>(&enter),
                             .argument = reinterpret_cast<std::uint64_t>(&visitor->body_),
                             .stack = visitor->stack_->end(),
                             .vectors = processor->vectors,
                             .thread = pointer.get_future().get()});
  return visitor;
}

void Visitor::be_thread(std::promise<std::uint64_t>& pointer) {
  this_guest = &guest_;
  warm_up();
  pointer.set_value(thread_pointer());
  leaving_.wait(false);
}

std::vector<std::byte> Visitor::kernel(KernelEntry entry) const {
  return kernel_image(arrival_, entry);
}

Result<void> Visitor::move_in(kvm::Vm& vm, std::uint32_t first_slot,
                              std::vector<PhysicalRange> ranges) {
  kvm_userspace_memory_region region{};
  region.slot = first_slot;
  region.guest_phys_addr = physical_;
  region.memory_size = memory_->bytes().size();
  region.userspace_addr = memory_->begin();
  if (const auto ok = vm.set_memory_region(region); !ok) return ok;
  auto map = AddressMap::open();
  if (!map) return std::unexpected(map.error());
  const auto slots = vm.check_extension(kvm::Capability::kNrMemslots);
  if (!slots) return std::unexpected(slots.error());
  mirror_.emplace(Mirror::Place{.vm = vm,
                                .first_slot = first_slot + 1,
                                .slots = static_cast<std::uint32_t>(*slots),
                                .physical = physical_ + Supervisor::kSize,
                                .physical_end = 2 * physical_,
                                .user = false},
                  supervisor_->tables(), std::move(*map), std::move(ranges));
  traps_.emplace(*mirror_, stack_->bytes());
  return {};
}

Result<void> Visitor::start(const kvm::Vcpu& vcpu) const {
  return arrival_.xcr0 == 0 ? Result<void>() : set_xcr0(vcpu, arrival_.xcr0);
}

Result<void> Visitor::read(std::uint64_t, std::span<std::byte> data) {
  store(data, UINT64_MAX);
  return {};
}

Result<void> Visitor::write(std::uint64_t offset, std::span<const std::byte> data) {
  // A guest that has ended repeats what ended it until its machine has stopped.
  if (ended_) return {};
  if (offset == 0)
    trapped(load(data));
  else
    called(static_cast<Call>(load(data)));
  return {};
}

void Visitor::trapped(std::uint64_t written) {
  const auto frame = supervisor_->frame(written);
  if (!frame) return end({.kind = EndKind::kHost, .started = true}, frame.error().message());
  const auto served = traps_->serve(**frame);
  if (!served) return end({.kind = EndKind::kHost, .started = true}, served.error().message());
  if (*served) end(**served);
}

void Visitor::called(Call what) {
  switch (what) {
    case Call::kDrain:
      return channel_.drain();
    case Call::kReturned:
      return end({.kind = EndKind::kReturned});
    case Call::kStopped:
      return end({.kind = EndKind::kStopped});
  }
  end({.kind = EndKind::kWrite,
       .address = kCall,
       .value = 4,
       .data = static_cast<std::uint64_t>(what),
       .port = true});
}

void Visitor::end(EndRecord record, std::string_view text) {
  ended_ = true;
  write_end(channel_, 0, record, text);
  if (on_end) on_end();
}

void Visitor::moved_out(std::string_view why) {
  if (!ended_) end({.kind = EndKind::kHost, .started = true}, why);
}

}  // namespace guestproof::ring0

#endif
