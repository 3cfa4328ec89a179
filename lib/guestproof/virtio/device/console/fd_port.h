// A console port over file descriptors: a terminal, a pair of pipes, a socket, a file.
//
// The descriptors are made non-blocking, and are as before when the port is gone. Whoever writes to
// a pipe or socket that nobody reads gets SIGPIPE: the process has to ignore that signal.
//
// Thread-safety: none, see ConsolePort.
#pragma once

#include <memory>

#include "guestproof/base/fd.h"
#include "guestproof/virtio/device/console/port.h"

namespace guestproof::virtio::console {

class FdPort final : public ConsolePort {
 public:
  /// What to do with bytes that the output does not take now. Guests wait for their console with a
  /// processor that does nothing else: what may not read for long, a terminal say, is to drop.
  enum class WhenFull : std::uint8_t { kWait, kDrop };

  /// Without a valid input there are no bytes for the guest, without an output its bytes are
  /// dropped. The two may be the same open file, as a terminal's are, but not the same descriptor.
  /// Errors: SystemError::kOpen (a descriptor that cannot be made non-blocking).
  [[nodiscard]] static Result<std::unique_ptr<FdPort>> create(Fd input, Fd output,
                                                              WhenFull when_full);

  /// Errors: SystemError::kWrite, and the output is not used any more.
  [[nodiscard]] Result<std::size_t> write(std::span<const std::byte> in) override;
  /// At the end of the input, or after an error, there are no bytes any more. Errors:
  /// SystemError::kRead.
  [[nodiscard]] Result<std::size_t> read(std::span<std::byte> out) override;
  [[nodiscard]] int input_fd() const override { return input_.get(); }
  [[nodiscard]] int output_fd() const override { return output_.get(); }

 private:
  /// Stays open when it is over: who waits for the descriptor may still have it.
  class End {
   public:
    End() = default;
    End(const End&) = delete;
    End& operator=(const End&) = delete;
    ~End();
    [[nodiscard]] Result<void> open(Fd fd);
    void finish() { over_ = true; }
    [[nodiscard]] int get() const { return over_ ? -1 : fd_.get(); }

   private:
    Fd fd_;
    int flags_ = 0;
    bool over_ = false;
  };

  explicit FdPort(WhenFull when_full) : when_full_(when_full) {}

  End input_, output_;
  WhenFull when_full_;
};

}  // namespace guestproof::virtio::console
