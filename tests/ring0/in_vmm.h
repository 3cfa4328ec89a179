// Tests in ring 0 of guestproof-vmm's machine, in place of a kernel that it boots.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <functional>
#include <string>

#include "guestproof/ring0/test.h"
#include "guestproof/ring0/visitor.h"
#include "vmm/layout.h"
#include "vmm/vm.h"

namespace guestproof::ring0 {

/// More than the monitor's own memory takes.
inline constexpr std::uint32_t kFirstSlot = 16;

/// A file in memory; its path in this process.
class MemoryFile {
 public:
  explicit MemoryFile(std::span<const std::byte> bytes) : fd_(::memfd_create("test", MFD_CLOEXEC)) {
    EXPECT_EQ(::write(fd_.get(), bytes.data(), bytes.size()), static_cast<::ssize_t>(bytes.size()));
  }
  [[nodiscard]] std::string path() const { return "/proc/self/fd/" + std::to_string(fd_.get()); }

 private:
  Fd fd_;
};

/// A port of the machine's besides: a write of it calls `on_write` on the host.
class Bell final : public BusDevice {
 public:
  static constexpr std::uint16_t kPort = 0xf010;

  [[nodiscard]] Result<void> read(std::uint64_t, std::span<std::byte>) override { return {}; }
  [[nodiscard]] Result<void> write(std::uint64_t, std::span<const std::byte>) override {
    if (on_write) on_write();
    return {};
  }
  std::function<void()> on_write;
};

class VisitorAddition final : public vmm::Addition {
 public:
  VisitorAddition(Visitor& visitor, Bell& bell, std::uint64_t memory)
      : visitor_(visitor), bell_(bell), memory_(memory) {}

  [[nodiscard]] vmm::Outcome<void> attach(kvm::Vm& vm) override {
    using vmm::layout::kGapBase, vmm::layout::kGapEnd;
    return outcome(visitor_.move_in(vm, kFirstSlot,
                                    {{0, memory_, false}, {kGapBase, kGapEnd - kGapBase, true}}));
  }
  [[nodiscard]] vmm::Outcome<void> start(std::span<const kvm::Vcpu> vcpus) override {
    return outcome(visitor_.start(vcpus[0]));
  }
  void add_to(Bus::Builder&, Bus::Builder& ports) override {
    ports.add(kTrap, 8, visitor_).add(Bell::kPort, 1, bell_);
  }

 private:
  static vmm::Outcome<void> outcome(const Result<void>& done) {
    if (done) return {};
    return std::unexpected(vmm::Complaint{vmm::ExitCode::kFailure, done.error().message()});
  }

  Visitor& visitor_;
  Bell& bell_;
  std::uint64_t memory_;
};

/// How a test runs in the machine, besides its Config.
struct InVmm {
  KernelEntry entry = KernelEntry::k64Bit;
  Options options{};
  std::function<void()> on_bell{};
};

/// Runs the body in the machine of this Config, whose kernel it is; errors are the listener's.
inline void serve_in_vmm(vmm::Config config, const InVmm& how, const Body& body,
                         const Channel& channel) {
  auto visitor = Visitor::create(body, channel);
  if (!visitor) return refuse(channel, visitor.error().message());
  const MemoryFile kernel((*visitor)->kernel(how.entry));
  config.kernel.path = kernel.path();
  Bell bell;
  bell.on_write = how.on_bell;
  VisitorAddition addition(**visitor, bell, config.memory_mib << 20);
  auto vm = vmm::Vm::create(config, &addition);
  if (!vm) return refuse(channel, vm.error().sentence);
  (*visitor)->on_end = [&] { (*vm)->stop({vmm::ExitCode::kStopped, "the test has ended"}); };
  const auto end = (*vm)->run();
  (*visitor)->moved_out(end.sentence.empty() ? "the machine ended" : end.sentence);
}

/// As run(), in a machine of guestproof-vmm.
template <class F>
void run_in_vmm(const vmm::Config& config, F body, const InVmm& how = {},
                std::source_location place = std::source_location::current()) {
  GoogleTestListener listener;
  const Body called{[](void* argument) { (*static_cast<F*>(argument))(); },
                    static_cast<void*>(&body)};
  serve_and_report(
      how.options, [&](const Channel& channel) { serve_in_vmm(config, how, called, channel); },
      Place{place.file_name(), static_cast<int>(place.line())}, listener);
}

[[nodiscard]] inline vmm::Config small_machine() {
  vmm::Config config;
  config.memory_mib = 64;
  return config;
}

}  // namespace guestproof::ring0
