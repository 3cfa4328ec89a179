#include "guestproof/ring0/backtrace.h"

#include <setjmp.h>
#include <signal.h>
#include <ucontext.h>
#include <unwind.h>

#include <array>
#include <cstring>

#include "guestproof/ring0/address.h"
#include "guestproof/ring0/maps.h"

// The kernel itself makes a frame of the guest's registers that every unwinder knows: that of a
// signal. The handler of a first signal replaces the registers that it will return to; a second
// signal, which waits until then, interrupts what is "returned to" before its first instruction.

namespace guestproof::ring0 {
namespace {

constexpr int kEnter = SIGUSR1, kInside = SIGUSR2;

/// What the handlers of signals know.
struct {
  const CpuState* wanted;
  std::span<std::uint64_t> found;
  std::size_t count;
  bool inside;  // the frames of the guest have begun
  ::sigjmp_buf back;
} walk;

#if defined(__x86_64__)
void set_registers(::mcontext_t& context, const CpuState& state) {
  constexpr std::array<int, 16> kIndex{REG_RAX, REG_RBX, REG_RCX, REG_RDX, REG_RSI, REG_RDI,
                                       REG_RBP, REG_RSP, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                       REG_R12, REG_R13, REG_R14, REG_R15};
  for (std::size_t i = 0; i < kIndex.size(); ++i)
    context.gregs[kIndex[i]] = static_cast<::greg_t>(state.general[i]);
  context.gregs[REG_RIP] = static_cast<::greg_t>(state.pc);
}

/// Where a call of `state.pc`, which is no code, came from.
CpuState caller(const CpuState& state) {
  auto before = state;
  std::memcpy(&before.pc, pointer_to<const void>(state.sp()), sizeof before.pc);
  before.general[CpuState::kRsp] += sizeof before.pc;
  return before;
}
#elif defined(__aarch64__)
void set_registers(::mcontext_t& context, const CpuState& state) {
  for (std::size_t i = 0; i < state.general.size(); ++i) context.regs[i] = state.general[i];
  context.sp = state.stack;
  context.pc = state.pc;
}

CpuState caller(const CpuState& state) {
  auto before = state;
  before.pc = state.general[30];
  return before;
}
#endif

::_Unwind_Reason_Code add_frame(::_Unwind_Context* context, void*) {
  const std::uint64_t address = ::_Unwind_GetIP(context);
  walk.inside = walk.inside || address == walk.wanted->pc;
  if (!walk.inside) return ::_URC_NO_REASON;
  if (walk.count == walk.found.size()) return ::_URC_END_OF_STACK;
  walk.found[walk.count++] = address;
  return ::_URC_NO_REASON;
}

void on_enter(int, ::siginfo_t*, void* context) {
  auto& interrupted = *static_cast<::ucontext_t*>(context);
  set_registers(interrupted.uc_mcontext, *walk.wanted);
  ::sigdelset(&interrupted.uc_sigmask, kInside);
}

void on_inside(int, ::siginfo_t*, void*) {
  ::_Unwind_Backtrace(add_frame, nullptr);
  ::siglongjmp(walk.back, 1);
}

void on_fault(int, ::siginfo_t*, void*) { ::siglongjmp(walk.back, 1); }

void handle(int signal, void (*handler)(int, ::siginfo_t*, void*)) {
  struct ::sigaction action{};
  action.sa_sigaction = handler;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  ::sigfillset(&action.sa_mask);
  ::sigdelset(&action.sa_mask, SIGSEGV);
  ::sigaction(signal, &action, nullptr);
}

bool is_code(std::uint64_t address) {
  const auto map = AddressMap::open();
  if (!map) return false;
  const auto mapping = map->find(address);
  return mapping && *mapping && (*mapping)->execute;
}

void unwind(const CpuState& state) {
  walk.wanted = &state;
  walk.inside = false;
  // The unwinder needs a few KiB.
  static std::array<std::byte, 1 << 16> stack;
  const ::stack_t alternative{stack.data(), 0, stack.size()};
  ::stack_t before;
  ::sigaltstack(&alternative, &before);
  handle(kEnter, on_enter);
  handle(kInside, on_inside);
  handle(SIGSEGV, on_fault);
  ::sigset_t held;
  ::sigemptyset(&held);
  ::sigaddset(&held, kInside);
  ::pthread_sigmask(SIG_BLOCK, &held, nullptr);
  handle(SIGBUS, on_fault);
  if (sigsetjmp(walk.back, 1) == 0) {
    ::raise(kInside);
    ::raise(kEnter);
  }
  ::signal(SIGSEGV, SIG_DFL);
  ::signal(SIGBUS, SIG_DFL);
  // AddressSanitizer frees the one that it finds when a thread ends.
  ::sigaltstack(&before, nullptr);
}

}  // namespace

std::size_t backtrace(const CpuState& state, std::span<std::uint64_t> addresses) {
  walk.found = addresses;
  walk.count = 0;
  if (is_code(state.pc)) {
    unwind(state);
    if (walk.count == 0 && !walk.found.empty()) walk.found[walk.count++] = state.pc;
    return walk.count;
  }
  if (walk.found.empty()) return 0;
  walk.found[walk.count++] = state.pc;
  handle(SIGSEGV, on_fault);
  handle(SIGBUS, on_fault);
  CpuState before;
  bool readable = false;
  if (sigsetjmp(walk.back, 1) == 0) {
    before = caller(state);
    readable = true;
  }
  ::signal(SIGSEGV, SIG_DFL);
  ::signal(SIGBUS, SIG_DFL);
  if (readable && is_code(before.pc)) unwind(before);
  return walk.count;
}

}  // namespace guestproof::ring0
