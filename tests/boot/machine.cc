#include "boot/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "pipe.h"

namespace guestproof::boot {
namespace {

namespace fs = std::filesystem;

/// An archive as Linux unpacks it (Documentation/driver-api/early-userspace/buffer-format.rst).
class Archive {
 public:
  void add(const std::string& name, unsigned mode, std::string_view data) {
    std::array<char, 111> header{};
    std::snprintf(header.data(), header.size(),
                  "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", ++inode_, mode, 0U,
                  0U, 1U, 0U, static_cast<unsigned>(data.size()), 0U, 0U, 0U, 0U,
                  static_cast<unsigned>(name.size() + 1), 0U);
    bytes_ += header.data();
    bytes_.append(name).push_back('\0');
    pad();
    bytes_ += data;
    pad();
  }
  [[nodiscard]] const std::string& finish() {
    add("TRAILER!!!", 0, "");
    return bytes_;
  }

 private:
  void pad() { bytes_.resize((bytes_.size() + 3) / 4 * 4); }
  std::string bytes_;
  unsigned inode_ = 0;
};

constexpr unsigned kFolder = 0040755, kProgram = 0100755, kFile = 0100644;

constexpr std::string_view kBegin = R"(#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in /modules/*; do insmod "$module" || echo "no $module"; done
)";
constexpr std::string_view kEnd = "\npoweroff -f\n";

}  // namespace

Stock stock(std::string_view name) {
  std::string variable = "GUESTPROOF_GUEST_";
  for (const char each : name)
    variable += each == '-' || each == '.' ? '_' : static_cast<char>(std::toupper(each));
  const char* folder = std::getenv(variable.c_str());
  EXPECT_NE(folder, nullptr) << variable << " is not set: `scripts/dev with-kvm --guest " << name
                             << "` does";
  if (folder == nullptr) return {};
  Stock found{folder, fs::path(folder) / "kernel", fs::path(folder) / "busybox", {}};
  for (const auto& module : fs::directory_iterator(fs::path(folder) / "modules"))
    found.modules.push_back(module.path());
  std::ranges::sort(found.modules);
  return found;
}

void write_initrd(const std::string& path, const Stock& stock, std::string_view script,
                  const std::vector<fs::path>& programs) {
  Archive archive;
  for (const char* folder : {"bin", "dev", "proc", "sys", "mnt", "modules"})
    archive.add(folder, kFolder, "");
  archive.add("bin/busybox", kProgram, contents(stock.busybox));
  for (const auto& program : programs)
    archive.add("bin/" + program.filename().string(), kProgram, contents(program));
  for (const auto& module : stock.modules)
    archive.add("modules/" + module.filename().string(), kFile, contents(module));
  archive.add("init", kProgram, std::string(kBegin).append(script).append(kEnd));
  std::ofstream(path, std::ios::binary) << archive.finish();
}

Machine::Machine(std::vector<std::string> arguments) {
  auto [in_read, in_write] = make_pipe();
  auto [out_read, out_write] = make_pipe();
  auto [err_read, err_write] = make_pipe();
  arguments.insert(arguments.begin(), GUESTPROOF_VMM);
  std::vector<char*> words;
  for (auto& word : arguments) words.push_back(word.data());
  words.push_back(nullptr);
  child_ = ::fork();
  if (child_ == 0) {
    ::dup2(in_read.get(), STDIN_FILENO);
    ::dup2(out_write.get(), STDOUT_FILENO);
    ::dup2(err_write.get(), STDERR_FILENO);
    // Its counters are not those of this program, whose file is named there.
    if (std::getenv("LLVM_PROFILE_FILE") != nullptr) ::setenv("LLVM_PROFILE_FILE", "/dev/null", 1);
    ::execv(words.front(), words.data());
    ::_exit(127);
  }
  EXPECT_GT(child_, 0);
  input_ = std::move(in_write);
  output_ = std::move(out_read);
  complaints_ = std::move(err_read);
}

Machine::~Machine() {
  if (child_ <= 0) return;
  ::kill(child_, SIGKILL);
  ::waitpid(child_, nullptr, 0);
}

bool Machine::read_some(std::chrono::steady_clock::time_point deadline) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
      deadline - std::chrono::steady_clock::now());
  std::array<::pollfd, 2> ends{{{output_.get(), POLLIN, 0}, {complaints_.get(), POLLIN, 0}}};
  if (left.count() <= 0 || ::poll(ends.data(), ends.size(), static_cast<int>(left.count())) <= 0)
    return false;
  bool open = false;
  std::array<char, 4096> bytes{};
  for (std::size_t i = 0; i < ends.size(); ++i) {
    auto& fd = i == 0 ? output_ : complaints_;
    if (ends[i].revents != 0) {
      const auto count = ::read(fd.get(), bytes.data(), bytes.size());
      if (count <= 0)
        fd = Fd();
      else
        (i == 0 ? console_ : errors_).append(bytes.data(), static_cast<std::size_t>(count));
    }
    open |= fd.valid();
  }
  return open;
}

bool Machine::wait_for(std::string_view text, const std::string& where) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (where.find(text) == std::string::npos)
    if (!read_some(deadline)) return where.find(text) != std::string::npos;
  return true;
}

void Machine::type(std::string_view text) const {
  EXPECT_EQ(::write(input_.get(), text.data(), text.size()), static_cast<::ssize_t>(text.size()));
}

void Machine::signal(int number) const { EXPECT_EQ(::kill(child_, number), 0); }

int Machine::wait() {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (read_some(deadline)) {
  }
  const Fd process(static_cast<int>(::syscall(SYS_pidfd_open, child_, 0)));
  ::pollfd end{process.get(), POLLIN, 0};
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
  int status = 0;
  if (::poll(&end, 1, static_cast<int>(std::max(left, 0ms).count())) != 1 ||
      ::waitpid(child_, &status, 0) != child_)
    return -1;
  child_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::string Machine::value(std::string_view name) const {
  const auto lines = "\n" + console_;
  const auto key = "\n" + std::string(name) + "=";
  const auto at = lines.find(key);
  if (at == std::string::npos) return "";
  const auto start = at + key.size();
  const auto end = lines.find_first_of("\r\n", start);
  return end == std::string::npos ? "" : lines.substr(start, end - start);
}

bool Machine::wait_for_value(std::string_view name) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (value(name).empty())
    if (!read_some(deadline)) return !value(name).empty();
  return true;
}

void limit_waiting(const Fd& peer) {
  const ::timeval patience{kPatience.count(), 0};
  for (const int direction : {SO_RCVTIMEO, SO_SNDTIMEO})
    EXPECT_EQ(::setsockopt(peer.get(), SOL_SOCKET, direction, &patience, sizeof patience), 0);
}

Fd accept_soon(const Fd& service) {
  ::pollfd client{service.get(), POLLIN, 0};
  const auto patience = std::chrono::duration_cast<std::chrono::milliseconds>(kPatience);
  EXPECT_EQ(::poll(&client, 1, static_cast<int>(patience.count())), 1) << "nobody connects";
  if (client.revents == 0) return Fd();
  Fd peer(::accept4(service.get(), nullptr, nullptr, SOCK_CLOEXEC));
  limit_waiting(peer);
  return peer;
}

std::string read_all(const Fd& peer) {
  std::string all;
  std::array<char, 4096> bytes{};
  ::ssize_t count = 0;
  while ((count = ::read(peer.get(), bytes.data(), bytes.size())) > 0)
    all.append(bytes.data(), static_cast<std::size_t>(count));
  EXPECT_EQ(count, 0) << "the peer has not said that it is done";
  return all;
}

std::uint64_t Machine::resident_mib() const {
  std::ifstream facts("/proc/" + std::to_string(child_) + "/statm");
  std::uint64_t all = 0, resident = 0;
  facts >> all >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) >> 20;
}

}  // namespace guestproof::boot
