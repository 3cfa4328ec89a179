#include "vmm/output_thread.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "vmm/kick.h"
#include "vmm/log.h"

namespace guestproof::vmm {

OutputThread::OutputThread(int fd) : fd_(fd), thread_(start_kickable([this] { run(); })) {}

void OutputThread::put(std::byte byte) {
  const std::scoped_lock locked(mutex_);
  if (refusing_) return;
  waiting_.push_back(byte);
  ++unwritten_;
  if (waiting_.size() == 1) changed_.notify_all();
}

void OutputThread::wait_for_room() {
  std::unique_lock locked(mutex_);
  changed_.wait(locked, [&] { return unwritten_ < kRoom || refusing_; });
}

void OutputThread::refuse() {
  const std::scoped_lock locked(mutex_);
  refusing_ = true;
  changed_.notify_all();
}

void OutputThread::close() {
  if (!thread_.joinable()) return;
  refuse();
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  std::unique_lock locked(mutex_);
  for (auto before = written_ + 1; before != written_ && !finished_;) {
    before = written_;
    const auto silence = std::chrono::steady_clock::now() + kSilence;
    changed_.wait_until(locked, std::min(silence, deadline),
                        [&] { return finished_ || written_ != before; });
    if (std::chrono::steady_clock::now() >= deadline) break;
  }
  given_up_ = true;
  // A kick that comes just before the call it is meant for is lost.
  while (!finished_) {
    kick(thread_);
    changed_.wait_for(locked, std::chrono::milliseconds(10), [&] { return finished_; });
  }
  locked.unlock();
  thread_.join();
}

void OutputThread::run() {
  std::unique_lock locked(mutex_);
  bool open = true;
  while (true) {
    changed_.wait(locked, [&] { return !waiting_.empty() || refusing_; });
    if (waiting_.empty()) break;
    const auto bytes = std::exchange(waiting_, {});
    locked.unlock();
    // A reader that has gone does not end the machine: what is for it goes nowhere.
    open = open && write_all(bytes);
    locked.lock();
    unwritten_ = waiting_.size();
    changed_.notify_all();
  }
  finished_ = true;
  changed_.notify_all();
}

bool OutputThread::write_all(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    if (given_up_) return false;
    // Little by little, for close() to see that somebody reads.
    ::pollfd reader{fd_, POLLOUT, 0};
    if (::poll(&reader, 1, -1) < 0) continue;
    const auto count = ::write(fd_, bytes.data(), std::min<std::size_t>(bytes.size(), PIPE_BUF));
    if (count < 0 && errno != EINTR && errno != EAGAIN) {
      const int error = errno;
      tell(error);
      return error == ENOSPC || error == EDQUOT || error == EFBIG;
    }
    if (count <= 0) continue;
    bytes = bytes.subspan(static_cast<std::size_t>(count));
    const std::scoped_lock locked(mutex_);
    written_ += static_cast<std::size_t>(count);
    unwritten_ -= static_cast<std::size_t>(count);
    changed_.notify_all();
  }
  return true;
}

void OutputThread::tell(int error) {
  if (!std::exchange(told_, true))
    log(std::string("the serial line's output is lost: ") + std::strerror(error) + ".");
}

}  // namespace guestproof::vmm
