#include "vmm/vcpu_thread.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <string>
#include <variant>

#include "vmm/kick.h"
#include "vmm/processor.h"

namespace guestproof::vmm {
namespace {

std::string hex(std::span<const std::byte> bytes) {
  std::string text;
  for (const auto byte : bytes) text += fmt::format(" {:02x}", std::to_integer<unsigned>(byte));
  return text;
}

std::string nobody(std::uint32_t reason) {
  return fmt::format("KVM's exit {} is for nobody", reason);
}

template <class... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};

}  // namespace

void VcpuThread::start() {
  thread_ = start_kickable([this] { run(); });
}

void VcpuThread::stop() {
  if (!thread_.joinable()) return;
  stopping_ = true;
  vcpu_.page().request_exit(true);
  kick(thread_);
  thread_.join();
}

void VcpuThread::run() {
  while (!stopping_) {
    const auto exit = vcpu_.run();
    if (!exit) return end(ExitCode::kFailure, exit.error().message());
    handle(*exit);
  }
}

void VcpuThread::end(ExitCode code, std::string_view what) {
  const auto where = position(vcpu_);
  leave(code, fmt::format("vCPU {}: {}{}{}", id_, what, where.empty() ? "" : ", at ", where));
}

void VcpuThread::leave(ExitCode code, std::string sentence) {
  ending_.set({code, std::move(sentence)});
  stopping_ = true;
}

void VcpuThread::handle(const kvm::Exit& exit) {
  std::visit(
      Overloaded{
          [&](const kvm::IoIn& in) { answer(in); }, [&](const kvm::IoOut& out) { answer(out); },
          [&](const kvm::MmioRead& read) { answer(read); },
          [&](const kvm::MmioWrite& write) { answer(write); }, [](const kvm::Intr&) {},
          // Where it was is gone: on AMD's processors KVM has reset it.
          [&](const kvm::Shutdown&) {
            leave(ExitCode::kTripleFault, fmt::format("vCPU {}: triple fault", id_));
          },
          [&](const kvm::SystemEvent& event) { handle(event); },
          [&](const kvm::EmulationFailure& failure) {
            const auto given = failure.instruction();
            end(ExitCode::kEmulation,
                "KVM cannot execute the instruction" +
                    (given.empty() ? hex(instruction(vcpu_, ram_)) : hex(given)));
          },
          [&](const kvm::InternalError& error) {
            const auto data = std::span(error.data).first(error.ndata);
            end(ExitCode::kEmulation,
                fmt::format("KVM's internal error {} ({:#x}), at the instruction{}", error.suberror,
                            fmt::join(data, " "), hex(instruction(vcpu_, ram_))));
          },
          [&](const kvm::ArmNisv& abort) {
            end(ExitCode::kEmulation,
                fmt::format("nobody knows how {:#x} was accessed (ISS {:#x}), by the instruction{}",
                            abort.fault_ipa, abort.esr_iss, hex(instruction(vcpu_, ram_))));
          },
          // A state that no processor can be in: the guest's doing, as far as KVM lets it.
          [&](const kvm::FailEntry& failure) {
            end(ExitCode::kEmulation, fmt::format("the processor does not enter the guest: {:#x}",
                                                  failure.hardware_entry_failure_reason));
          },
          [&](const kvm::MemoryFault& fault) {
            end(ExitCode::kFailure,
                fmt::format("KVM has no memory for {:#x}, of {} bytes (flags {:#x})", fault.address,
                            fault.size, fault.flags));
          },
          [&](const kvm::Unsupported& unknown) { end(ExitCode::kFailure, nobody(unknown.reason)); },
          [&]<std::uint32_t Reason>(const kvm::Plain<Reason>&) {
            end(ExitCode::kFailure, nobody(Reason));
          },
          [&](const auto&) {
            end(ExitCode::kFailure,
                fmt::format("an exit (of kind {}) that nobody asked for", exit.index()));
          }},
      exit);
}

void VcpuThread::handle(const kvm::SystemEvent& event) {
  switch (event.type) {
    case KVM_SYSTEM_EVENT_SHUTDOWN:
      return leave(ExitCode::kPowerOff);
    case KVM_SYSTEM_EVENT_RESET:
      return leave(ExitCode::kReset);
    case KVM_SYSTEM_EVENT_CRASH:
      return end(ExitCode::kPanic, "the guest says that it has crashed");
    default:
      return end(ExitCode::kFailure, fmt::format("system event {} is for nobody", event.type));
  }
}

// What nobody answers is the guest's mistake, or its way to find out that nobody is there.

void VcpuThread::answer(const kvm::IoIn& in) {
  const auto data = vcpu_.page().data(in);
  std::array<std::byte, 4> item{};
  for (std::uint32_t i = 0; i < in.count; ++i) {
    const auto bytes = std::span(item).first(in.size);
    static_cast<void>(ports_.read(in.port, bytes));
    data.write(std::size_t{i} * in.size, bytes);
  }
}

void VcpuThread::answer(const kvm::IoOut& out) {
  const auto data = vcpu_.page().data(out);
  std::array<std::byte, 4> item{};
  for (std::uint32_t i = 0; i < out.count; ++i) {
    const auto bytes = std::span(item).first(out.size);
    data.read(std::size_t{i} * out.size, bytes);
    static_cast<void>(ports_.write(out.port, bytes));
  }
}

void VcpuThread::answer(const kvm::MmioRead& read) {
  std::array<std::byte, 8> bytes{};
  const auto used = std::span(bytes).first(read.length);
  static_cast<void>(memory_.read(read.address, used));
  vcpu_.page().data(read).write(0, used);
}

void VcpuThread::answer(const kvm::MmioWrite& write) {
  static_cast<void>(memory_.write(write.address, write.data()));
}

}  // namespace guestproof::vmm
