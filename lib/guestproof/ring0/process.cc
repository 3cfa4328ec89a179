#include "guestproof/ring0/process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <exception>

#include "guestproof/ring0/processor.h"
#include "guestproof/ring0/profile.h"

namespace guestproof::ring0 {
namespace {

using Clock = std::chrono::steady_clock;

/// For a test that is over to be told of, and for one that should be; a copy that takes longer than
/// this is stuck.
constexpr std::chrono::seconds kGrace{5};

[[noreturn]] void be_copy(::pid_t parent, const std::function<void(const Channel&)>& server,
                          const Channel& channel, const Profile& profile) noexcept {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);  // it ended before it was watched
  Profile::begin();
  try {
    server(channel);
  } catch (const std::exception& thrown) {
    refuse(channel, thrown.what());
  }
  profile.save();
  ::_exit(0);
}

/// Until all is read, there is enough of it, or the time has come. Errors: RingReader's.
Result<void> read_all(std::vector<RingReader>& readers, Reporter& reporter,
                      Clock::time_point deadline) {
  for (auto& reader : readers) {
    while (!reporter.has_enough() && Clock::now() < deadline) {
      const auto record = reader.next();
      if (!record) return std::unexpected(record.error());
      if (!*record) break;
      reporter.take(**record);
    }
  }
  return {};
}

std::string ending_of(int status) {
  if (WIFSIGNALED(status))
    return "by signal " + std::to_string(WTERMSIG(status)) + " (" + ::strsignal(WTERMSIG(status)) +
           ')';
  return "with exit code " + std::to_string(WEXITSTATUS(status));
}

int milliseconds_until(Clock::time_point deadline) {
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
  return left < 0 ? 0 : static_cast<int>(std::min<long>(left + 1, 1000));
}

/// Tells the listener what the copy says, until it has ended.
void watch(::pid_t child, const Options& options, const Channel& channel, const Place& place,
           Listener& listener) {
  std::vector<RingReader> readers;
  for (auto& ring : channel.rings()) readers.emplace_back(ring);
  Reporter reporter(options, place, listener);
  const Fd ended(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  const auto deadline = Clock::now() + options.time_limit + kGrace;
  std::string how;
  if (!ended.valid()) how = std::string("it could not be watched: ") + std::strerror(errno);
  Result<void> readable;
  // A ring that makes no sense is not read, and its writer would wait for that for ever.
  while (how.empty() && readable) {
    std::array<::pollfd, 2> events{{{ended.get(), POLLIN, 0}, {channel.full(), POLLIN, 0}}};
    ::poll(events.data(), events.size(), milliseconds_until(deadline));
    readable = read_all(readers, reporter, deadline);
    if ((events[1].revents & POLLIN) != 0) channel.drained();
    if ((events[0].revents & POLLIN) != 0) break;
    if (Clock::now() >= deadline) how = "it was killed, because it did not end";
    if (reporter.has_enough()) how = "it was killed, because it has failed so often";
  }
  if (!how.empty() || !readable) ::kill(child, SIGKILL);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (readable) readable = read_all(readers, reporter, Clock::time_point::max());
  if (!readable)
    listener.failed(place, "The ring of records is broken: " + readable.error().message() + '.');
  else
    reporter.finish(how.empty() ? ending_of(status) : how, how.empty() && status == 0);
}

}  // namespace

void run(const Options& options, const Body& body, const Place& place, Listener& listener) {
  serve_and_report(
      options, [&](const Channel& channel) { serve(options, body, channel); }, place, listener);
}

void serve_and_report(const Options& options, const std::function<void(const Channel&)>& server,
                      const Place& place, Listener& listener) {
  if (const auto ok = options.check(); !ok)
    return listener.failed(place, "The options contradict each other: " + ok.error().message());
  const auto channel = Channel::create(options.vcpu_count);
  if (!channel) return listener.failed(place, channel.error().message());
  const auto profile = Profile::create();
  if (!profile) return listener.failed(place, profile.error().message());

  static_cast<void>(emulates());  // for the copies
  // What is buffered would be written by both.
  std::fflush(nullptr);
  const auto parent = ::getpid();
  const auto child = ::fork();
  if (child < 0)
    return listener.failed(place, std::string("fork() failed: ") + std::strerror(errno));
  if (child == 0) be_copy(parent, server, *channel, *profile);

  watch(child, options, *channel, place, listener);
  profile->merge();
}

}  // namespace guestproof::ring0
