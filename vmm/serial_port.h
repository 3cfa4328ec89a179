// The guest's serial line on a pair of file descriptors, standard input and output say.
//
// Input is read when the guest has room for it, so none is lost but what the guest itself clears
// from its FIFO; its end is nothing that a serial line could tell. At a raw terminal it is read at
// once, for an EscapeFilter to look at, and what is typed beyond kTyped bytes is dropped: a guest
// that does not listen keeps nobody from leaving it.
//
// Thread-safety: accesses by any vCPU's thread; the rest by the event loop's.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "guestproof/bus/bus.h"
#include "guestproof/platform/serial_16550.h"
#include "vmm/event_loop.h"
#include "vmm/output_thread.h"
#include "vmm/terminal.h"

namespace guestproof::vmm {

class SerialPort final : public BusDevice, private platform::SerialHost {
 public:
  /// A line of a terminal.
  static constexpr std::size_t kTyped = 4096;

  struct Host {
    int input;
    int output;
    /// At a raw terminal, whose escape to leave calls it; else empty.
    std::function<void()> leave;
  };

  /// All outlive the port, and the descriptors stay open. Errors: SystemError::kEventFd, kWatch.
  [[nodiscard]] static Result<std::unique_ptr<SerialPort>> create(Host host, InterruptLine& line,
                                                                  EventLoop& loop);
  ~SerialPort();
  /// Nothing keeps a vCPU's thread waiting any more, and nothing more is sent.
  void refuse() { output_.refuse(); }
  /// What is left to be written is written, while there is a reader for it.
  void close() { output_.close(); }

  // BusDevice
  [[nodiscard]] Result<void> read(std::uint64_t offset, std::span<std::byte> data) override;
  [[nodiscard]] Result<void> write(std::uint64_t offset, std::span<const std::byte> data) override;

 private:
  SerialPort(Host host, InterruptLine& line, EventLoop& loop, EventFd room);

  // platform::SerialHost, under the lock
  void sent(std::byte byte) override { output_.put(byte); }
  void room() override { room_.notify(); }

  /// Input, as much as there is room for; what is known of the descriptor is whether it is
  /// readable.
  void pump(bool readable);
  void fetch();
  /// Whether there is to be more input.
  [[nodiscard]] bool wants_more() const;
  void set_watching(bool wanted);

  Host host_;
  EventLoop& loop_;
  EventFd room_;
  OutputThread output_;
  std::mutex lock_;
  platform::Serial16550 serial_;
  EscapeFilter filter_;
  std::vector<std::byte> waiting_;  // typed, and not yet the guest's
  bool watching_ = false;
  bool pollable_ = true;  // a file is always readable, and cannot be watched
  bool ended_ = false;
};

}  // namespace guestproof::vmm
