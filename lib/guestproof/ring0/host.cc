#include "guestproof/ring0/host.h"

#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <exception>
#include <mutex>
#include <string>
#include <thread>

#include "guestproof/ring0/address_sanitizer.h"
#include "guestproof/ring0/end.h"
#include "guestproof/ring0/guest.h"
#include "guestproof/ring0/machine.h"
#include "guestproof/ring0/processor.h"
#include "guestproof/ring0/register_file.h"
#include "guestproof/ring0/traps.h"

namespace guestproof::ring0 {
namespace {

template <class... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};

class Host {
 public:
  Host(Machine& machine, const Options& options, const Body& body, const Channel& channel)
      : machine_(machine),
        options_(options),
        body_(body),
        channel_(channel),
        registers_(options.registers, functions_),
        threads_(options.vcpu_count) {}

  /// Until all vCPUs are over. Their threads stay, and so does all that is here: a thread's end,
  /// and a destructor, would use the heap, which a guest may have been stopped in the middle of.
  void run();

 private:
  /// What one thread knows.
  struct Cpu {
    Host& host;
    std::uint32_t index;
    kvm::Vcpu& vcpu;
    Traps traps;
    Guest guest{};
    bool over = false;
  };

  void set_alarm();
  static void on_alarm(int);
  void kick_all();

  void run(std::uint32_t index);
  void run(Cpu& cpu);
  [[nodiscard]] bool is_expected(const EndRecord& end) const;
  void handle(Cpu& cpu, const kvm::Exit& exit);
  void handle(Cpu& cpu, const Control& control);
  void handle(Cpu& cpu, TrapFrame& frame);
  void handle(Cpu& cpu, Call what);
  void not_executed(Cpu& cpu);

  template <class Io>
  void access(Cpu& cpu, const Io& io);
  template <class Access>
    requires(std::is_same_v<Access, kvm::Rdmsr> || std::is_same_v<Access, kvm::Wrmsr>)
  void access(Cpu& cpu, const Access& access);
  void access(Cpu& cpu, const kvm::MmioRead& io);
  void access(Cpu& cpu, const kvm::MmioWrite& io);
  [[nodiscard]] std::uint64_t read(Cpu& cpu, bool port, std::uint64_t address, std::size_t width);
  void write(Cpu& cpu, bool port, std::uint64_t address, std::span<const std::byte> data);

  /// A failure after which the test goes on.
  void complain(const Cpu& cpu, std::string_view text);
  void complain(std::uint32_t ring, std::uint64_t pc, std::string_view text);
  void finish(Cpu& cpu, EndRecord end, std::string_view text = {});
  void finish(Cpu& cpu, const Error& error) {
    finish(cpu, {.kind = EndKind::kHost, .started = true}, error.message());
  }
  /// Of a vCPU between two instructions.
  void finish_here(Cpu& cpu, EndRecord end);

  Machine& machine_;
  const Options& options_;
  const Body& body_;
  const Channel& channel_;
  std::mutex functions_;  // of the test, which are called one at a time
  RegisterFile registers_;
  std::mutex ends_;
  std::atomic<bool> stopping_ = false;
  std::atomic<bool> expired_ = false;
  std::atomic<std::size_t> returned_ = 0;
  std::atomic<std::size_t> over_ = 0;
  std::vector<std::thread> others_;
  std::vector<std::atomic<::pthread_t>> threads_;
};

Host* running;  // for the alarm's handler

void Host::on_alarm(int) {
  running->expired_ = true;
  running->kick_all();
}

/// Async-signal-safe.
void Host::kick_all() {
  for (const auto& vcpu : machine_.vcpus()) vcpu.page().request_exit(true);
  for (const auto& thread : threads_)
    if (const ::pthread_t id = thread; id != 0) ::pthread_kill(id, SIGRTMIN);
}

void Host::set_alarm() {
  running = this;
  ::sigset_t ours;
  ::sigemptyset(&ours);
  ::sigaddset(&ours, SIGALRM);
  ::sigaddset(&ours, SIGRTMIN);
  ::pthread_sigmask(SIG_UNBLOCK, &ours, nullptr);
  struct ::sigaction action{};
  action.sa_handler = [](int) {};
  ::sigaction(SIGRTMIN, &action, nullptr);
  action.sa_handler = on_alarm;
  ::sigaction(SIGALRM, &action, nullptr);
  const auto limit = options_.time_limit.count();
  ::itimerval timer{};
  timer.it_value.tv_sec = limit / 1000;
  timer.it_value.tv_usec = limit % 1000 * 1000;
  ::setitimer(ITIMER_REAL, &timer, nullptr);
}

void Host::run() {
  set_alarm();
  for (std::uint32_t i = 1; i < threads_.size(); ++i)
    others_.emplace_back([this, i] {
      run(i);
      while (true) ::pause();
    });
  run(0);
  for (auto over = over_.load(); over != threads_.size(); over = over_.load()) over_.wait(over);
  const ::itimerval never{};
  ::setitimer(ITIMER_REAL, &never, nullptr);
}

void Host::run(std::uint32_t index) {
  Cpu cpu{*this, index, machine_.vcpus()[index], Traps(machine_.mirror(), machine_.stack(index))};
  cpu.guest = {.channel = &channel_, .vcpu = index, .on_host = true};
  this_guest = &cpu.guest;
  threads_[index] = ::pthread_self();
  // The test's own functions may throw.
  try {
    run(cpu);
  } catch (const StoppedOnHost&) {
    finish(cpu, {.kind = EndKind::kStopped});
  } catch (const std::exception& thrown) {
    finish(cpu, {.kind = EndKind::kHost, .started = true}, thrown.what());
  }
  this_guest = nullptr;
  ++over_;
  over_.notify_all();
}

void Host::run(Cpu& cpu) {
  warm_up();
  const auto started = machine_.start(cpu.index, reinterpret_cast<std::uint64_t>(&enter),
                                      reinterpret_cast<std::uint64_t>(&body_));
  if (!started) return finish(cpu, started.error());
  for (const auto& function : options_.on_vcpu) {
    const std::scoped_lock lock(functions_);
    function(cpu.vcpu, cpu.index);
  }
  StackSwitch stack(machine_.stack(cpu.index));
  while (!cpu.over) {
    stack.enter_guest();
    cpu.guest.on_host = false;
    const auto exit = cpu.vcpu.run();
    cpu.guest.on_host = true;
    stack.leave_guest();
    if (expired_) {
      finish_here(cpu, {.kind = EndKind::kTimeout});
    } else if (stopping_) {
      cpu.over = true;
    } else if (!exit) {
      finish(cpu, exit.error());
    } else {
      handle(cpu, *exit);
    }
  }
}

void Host::handle(Cpu& cpu, const kvm::Exit& exit) {
  if (const auto control = control_of(cpu.vcpu, machine_.supervisor().control(), exit))
    return handle(cpu, *control);
  std::visit(
      Overloaded{[](const kvm::Intr&) {}, [&](const kvm::IoIn& in) { access(cpu, in); },
                 [&](const kvm::IoOut& out) { access(cpu, out); },
                 [&](const kvm::MmioRead& read) { access(cpu, read); },
                 [&](const kvm::MmioWrite& write) { access(cpu, write); },
                 [&](const kvm::Rdmsr& read) { access(cpu, read); },
                 [&](const kvm::Wrmsr& write) { access(cpu, write); },
                 [&](const kvm::Hlt&) { finish_here(cpu, {.kind = EndKind::kHalt}); },
                 // KVM has reset the processor, on AMD's at least: where it was is gone.
                 [&](const kvm::Shutdown&) { finish_here(cpu, {.kind = EndKind::kTripleFault}); },
                 [&](const kvm::EmulationFailure&) { not_executed(cpu); },
                 [&](const kvm::InternalError&) { not_executed(cpu); },
                 [&](const kvm::Unsupported& unknown) {
                   finish_here(cpu, {.kind = EndKind::kExit, .vector = unknown.reason});
                 },
                 [&]<std::uint32_t Reason>(const kvm::Plain<Reason>&) {
                   finish_here(cpu, {.kind = EndKind::kExit, .vector = Reason});
                 },
                 [&](const auto&) {
                   finish_here(cpu, {.kind = EndKind::kExit, .vector = cpu.vcpu.page().reason()});
                 }},
      exit);
}

void Host::not_executed(Cpu& cpu) {
  finish_here(cpu, {.kind = EndKind::kInstruction, .emulates = emulates()});
}

void Host::handle(Cpu& cpu, const Control& control) {
  if (!control.trap) return handle(cpu, static_cast<Call>(control.value));
  const auto frame = machine_.supervisor().frame(control.value);
  if (!frame) return finish(cpu, frame.error());
  handle(cpu, **frame);
}

void Host::handle(Cpu& cpu, Call what) {
  switch (what) {
    case Call::kDrain:
      return channel_.drain();
    case Call::kReturned:
      cpu.over = true;
      if (++returned_ == threads_.size()) finish(cpu, {.kind = EndKind::kReturned});
      return;
    case Call::kStopped:
      return finish(cpu, {.kind = EndKind::kStopped});
  }
  finish_here(cpu, {.kind = EndKind::kWrite,
                    .address = kCall,
                    .value = 4,
                    .data = static_cast<std::uint64_t>(what),
                    .port = true});
}

void Host::handle(Cpu& cpu, TrapFrame& frame) {
  if (const auto what = call_by_exception(frame)) return handle(cpu, *what);
  auto end = cpu.traps.serve(frame);
  if (!end) return finish(cpu, end.error());
  if (!*end) return;
  const auto state = completed((*end)->state, cpu.vcpu);
  if (!state) return finish(cpu, state.error());
  (*end)->state = *state;
  finish(cpu, **end);
}

template <class Io>
void Host::access(Cpu& cpu, const Io& io) {
  const auto data = cpu.vcpu.page().data(io);
  for (std::uint32_t i = 0; i < io.count && !cpu.over; ++i) {
    std::array<std::byte, 8> item{};
    const auto bytes = std::span(item).first(io.size);
    if constexpr (std::is_same_v<Io, kvm::IoIn>) {
      const auto value = read(cpu, true, io.port, io.size);
      std::memcpy(item.data(), &value, sizeof value);
      data.write(std::size_t{i} * io.size, bytes);
    } else {
      data.read(std::size_t{i} * io.size, bytes);
      write(cpu, true, io.port, bytes);
    }
  }
}

void Host::access(Cpu& cpu, const kvm::MmioRead& io) {
  const auto value = read(cpu, false, io.address, io.length);
  cpu.vcpu.page().data(io).write(0, bytes_of(value).first(io.length));
}

void Host::access(Cpu& cpu, const kvm::MmioWrite& io) { write(cpu, false, io.address, io.data()); }

std::uint64_t Host::read(Cpu& cpu, bool port, std::uint64_t address, std::size_t width) {
  const auto answer = registers_.read(port, address, width);
  if (!answer.answered)
    finish_here(cpu, {.kind = EndKind::kRead, .address = address, .value = width, .port = port});
  if (!answer.complaint.empty()) complain(cpu, answer.complaint);
  return answer.value;
}

void Host::write(Cpu& cpu, bool port, std::uint64_t address, std::span<const std::byte> data) {
  std::uint64_t value = 0;
  std::memcpy(&value, data.data(), data.size());
  const auto answer = registers_.write(port, address, data.size(), value);
  if (!answer.answered)
    finish_here(cpu, {.kind = EndKind::kWrite,
                      .address = address,
                      .value = data.size(),
                      .data = value,
                      .port = port});
  if (!answer.complaint.empty()) complain(cpu, answer.complaint);
}

#if defined(__x86_64__)
template <class Access>
  requires(std::is_same_v<Access, kvm::Rdmsr> || std::is_same_v<Access, kvm::Wrmsr>)
void Host::access(Cpu& cpu, const Access& access) {
  const auto msr = std::ranges::find(options_.msrs, access.index, &Msr::index);
  Msr::Access wanted;
  if constexpr (std::is_same_v<Access, kvm::Wrmsr>) wanted = {true, access.value};
  const std::scoped_lock lock(functions_);
  const auto& page = cpu.vcpu.page();
  if (msr == options_.msrs.end() || !msr->handler(wanted)) return page.refuse(access);
  if constexpr (std::is_same_v<Access, kvm::Wrmsr>)
    page.answer(access);
  else
    page.answer(access, wanted.value);
}
#else
template <class Access>
  requires(std::is_same_v<Access, kvm::Rdmsr> || std::is_same_v<Access, kvm::Wrmsr>)
void Host::access(Cpu& cpu, const Access&) {
  finish_here(cpu, {.kind = EndKind::kExit, .vector = cpu.vcpu.page().reason()});
}
#endif

void Host::complain(const Cpu& cpu, std::string_view text) {
  const auto state = state_of(cpu.vcpu);
  complain(cpu.index, state ? state->pc : 0, text);
}

void Host::complain(std::uint32_t ring, std::uint64_t pc, std::string_view text) {
  const FailureRecord record{0, 0, pc};
  Text cut;
  cut << text;
  const std::array parts{bytes_of(record), bytes_of(cut.view())};
  channel_.put(ring, RecordKind::kFailure, parts);
}

void Host::finish_here(Cpu& cpu, EndRecord end) {
  const auto state = state_of(cpu.vcpu);
  if (!state) return finish(cpu, state.error());
  end.state = *state;
  finish(cpu, end);
}

bool Host::is_expected(const EndRecord& end) const {
  return end.kind == EndKind::kReturned || (options_.vector && end.kind == EndKind::kVector) ||
         (options_.halt && end.kind == EndKind::kHalt) ||
         (options_.triple_fault && end.kind == EndKind::kTripleFault);
}

void Host::finish(Cpu& cpu, EndRecord end, std::string_view text) {
  cpu.over = true;
  // One vCPU's end is the test's, and all tell where they stood when time is over.
  const std::scoped_lock lock(ends_);
  if (stopping_.exchange(true) && end.kind != EndKind::kTimeout) return;
  end.vcpu = cpu.index;
  if (is_expected(end))
    for (const auto& sentence : registers_.missing()) complain(cpu.index, 0, sentence);
  write_end(channel_, cpu.index, end, text);
  kick_all();
}

/// Before there is a guest.
void say(const Channel& channel, RecordKind kind, std::string_view text) {
  const std::array parts{bytes_of(text)};
  channel.put(0, kind, parts);
}

}  // namespace

void refuse(const Channel& channel, std::string_view why) {
  const EndRecord end{.kind = EndKind::kHost};
  const std::array parts{bytes_of(end), bytes_of(why)};
  channel.put(0, RecordKind::kEnd, parts);
}

void enter(void* body) {
  const auto& [function, argument] = *static_cast<const Body*>(body);
  function(argument);
  while (true) call(Call::kReturned);
}

void serve(const Options& options, const Body& body, const Channel& channel) {
  const auto kvm = kvm::Kvm::open();
  if (!kvm) return say(channel, RecordKind::kSkip, "there is no KVM: " + kvm.error().message());
  for (const auto capability : options.needed) {
    const auto has = kvm->check_extension(capability);
    if (!has || *has <= 0)
      return say(
          channel, RecordKind::kSkip,
          "this KVM has no capability " + std::to_string(static_cast<std::uint32_t>(capability)));
  }
  auto machine = Machine::create(*kvm, options);
  if (!machine) return refuse(channel, machine.error().message());
  // They go with the process, see Host::run().
  auto* const host = new Host(*machine->release(), options, body, channel);
  host->run();
}

}  // namespace guestproof::ring0
