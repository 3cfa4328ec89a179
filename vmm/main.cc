// guestproof-vmm: boots what the command line says, and tells by its exit code what became of it.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <string>
#include <variant>
#include <vector>

#include "vmm/command_line.h"
#include "vmm/log.h"
#include "vmm/vm.h"

namespace {

using namespace guestproof::vmm;

int finish(ExitCode code, const std::string& sentence) {
  if (!sentence.empty()) log(sentence, Urgency::kLastWords);
  return static_cast<int>(code);
}

int complain(const Complaint& complaint) { return finish(complaint.code, complaint.sentence); }

/// What is opened next must not be taken for one of the three that everybody expects.
bool open_standard_descriptors() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd)
    if (::fcntl(fd, F_GETFD) < 0 && ::open("/dev/null", O_RDWR) != fd) return false;
  return true;
}

int run(int argc, char** argv) {
  // Who reads the guest's output, or is at the other end of a socket, may go; a disk or a log may
  // reach the size that the process is allowed. The call that comes to it says so.
  static_cast<void>(::signal(SIGPIPE, SIG_IGN));
  static_cast<void>(::signal(SIGXFSZ, SIG_IGN));
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const auto parsed = parse_command_line(arguments);
  if (!parsed) return complain(parsed.error());
  if (const auto* help = std::get_if<HelpText>(&*parsed))
    return std::fputs(help->text.c_str(), stdout) < 0 || std::fflush(stdout) != 0 ? 1 : 0;
  auto vm = Vm::create(std::get<Config>(*parsed));
  if (!vm) return complain(vm.error());
  const auto end = (*vm)->run();
  vm->reset();  // the terminal is as it was before anything is said on it
  return finish(end.code, end.sentence);
}

}  // namespace

int main(int argc, char** argv) {
  if (!open_standard_descriptors()) return static_cast<int>(ExitCode::kFailure);
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {  // no memory, or no more threads
    return finish(ExitCode::kFailure, error.what());
  }
}
