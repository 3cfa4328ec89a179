// The thread of a vCPU: runs it, hands its accesses to the buses, and ends the machine when the
// guest leaves it or cannot go on.
//
// Thread-safety: start() and stop() by the machine's owner.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "guestproof/bus/bus.h"
#include "guestproof/kvm/vcpu.h"
#include "guestproof/memory/mapped_memory.h"
#include "vmm/ending.h"

namespace guestproof::vmm {

class VcpuThread {
 public:
  /// All but `vcpu` outlive it.
  VcpuThread(std::size_t id, kvm::Vcpu vcpu, const MappedMemory& ram, const Bus& memory,
             const Bus& ports, Ending& ending)
      : id_(id),
        vcpu_(std::move(vcpu)),
        ram_(ram),
        memory_(memory),
        ports_(ports),
        ending_(ending) {}
  VcpuThread(const VcpuThread&) = delete;
  VcpuThread& operator=(const VcpuThread&) = delete;
  ~VcpuThread() { stop(); }

  void start();
  /// The vCPU runs no more on return.
  void stop();

 private:
  void run();
  void handle(const kvm::Exit& exit);
  void handle(const kvm::SystemEvent& event);
  /// The machine ends.
  void leave(ExitCode code, std::string sentence = "");
  /// Because of this exit, which only a guest or KVM that went wrong makes.
  void end(ExitCode code, std::string_view what);

  // By kind of exit.
  void answer(const kvm::IoIn& in);
  void answer(const kvm::IoOut& out);
  void answer(const kvm::MmioRead& read);
  void answer(const kvm::MmioWrite& write);

  std::size_t id_;
  kvm::Vcpu vcpu_;
  const MappedMemory& ram_;
  const Bus& memory_;
  const Bus& ports_;
  Ending& ending_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace guestproof::vmm
