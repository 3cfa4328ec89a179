// What the guest's serial line sends, on its way to a file descriptor that may be slow: the device
// is not kept waiting with its lock, its vCPU is. Nothing is lost while the other end takes it: a
// disk that is full, say, takes nothing for a while.
//
// Thread-safety: any thread; close() by the owner.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

namespace guestproof::vmm {

class OutputThread {
 public:
  /// What waits to be written at most, but for what is put in one access: a screen of text.
  static constexpr std::size_t kRoom = 16 << 10;
  /// close() waits no longer for a reader that takes nothing, and for one that takes little.
  static constexpr std::chrono::seconds kSilence{1};
  static constexpr std::chrono::seconds kPatience{5};

  /// `fd` stays open.
  explicit OutputThread(int fd);
  ~OutputThread() { close(); }
  OutputThread(const OutputThread&) = delete;
  OutputThread& operator=(const OutputThread&) = delete;

  /// Never waits.
  void put(std::byte byte);
  /// Waits until there is room again, or no more is taken.
  void wait_for_room();
  /// No more is taken: what is put from now on is dropped, and nobody waits.
  void refuse();
  /// Refuses, and writes what is left while there is a reader for it.
  void close();

 private:
  void run();
  /// What cannot be written is dropped. False: nobody will read any more.
  [[nodiscard]] bool write_all(std::span<const std::byte> bytes);
  void tell(int error);

  int fd_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::byte> waiting_;
  bool refusing_ = false;
  bool finished_ = false;
  std::size_t unwritten_ = 0;  // what is waiting, and what is being written
  std::uint64_t written_ = 0;
  std::atomic<bool> given_up_ = false;
  bool told_ = false;
  std::thread thread_;
};

}  // namespace guestproof::vmm
