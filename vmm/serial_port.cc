#include "vmm/serial_port.h"

#include <errno.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

namespace guestproof::vmm {

Result<std::unique_ptr<SerialPort>> SerialPort::create(Host host, InterruptLine& line,
                                                       EventLoop& loop) {
  auto room = EventFd::create();
  if (!room) return std::unexpected(room.error());
  std::unique_ptr<SerialPort> port(new SerialPort(std::move(host), line, loop, std::move(*room)));
  auto* self = port.get();
  const auto ok = loop.watch(port->room_.get(), [self] {
    static_cast<void>(self->room_.take());
    self->pump(false);
  });
  if (!ok) return std::unexpected(ok.error());
  port->room_.notify();
  return port;
}

SerialPort::SerialPort(Host host, InterruptLine& line, EventLoop& loop, EventFd room)
    : host_(std::move(host)),
      loop_(loop),
      room_(std::move(room)),
      output_(host_.output),
      serial_(*this, line) {}

SerialPort::~SerialPort() {
  set_watching(false);
  loop_.forget(room_.get());
}

Result<void> SerialPort::read(std::uint64_t offset, std::span<std::byte> data) {
  const std::scoped_lock locked(lock_);
  return serial_.read(offset, data);
}

Result<void> SerialPort::write(std::uint64_t offset, std::span<const std::byte> data) {
  auto done = Result<void>();
  {
    const std::scoped_lock locked(lock_);
    done = serial_.write(offset, data);
  }
  output_.wait_for_room();
  return done;
}

void SerialPort::pump(bool readable) {
  const std::scoped_lock locked(lock_);
  if ((readable || !pollable_) && wants_more()) fetch();
  // room() tells when there is some again.
  const auto taken = serial_.enqueue(waiting_);
  waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(taken));
  if (pollable_)
    set_watching(wants_more());
  else if (wants_more())
    room_.notify();
}

bool SerialPort::wants_more() const {
  return !ended_ && (host_.leave || (waiting_.empty() && serial_.input_space() != 0));
}

void SerialPort::fetch() {
  std::array<std::byte, kTyped> bytes;
  const auto count = ::read(host_.input, bytes.data(), bytes.size());
  if (count < 0 && (errno == EINTR || errno == EAGAIN)) return;
  ended_ = count <= 0;
  if (ended_) return;
  const auto typed = std::span(bytes).first(static_cast<std::size_t>(count));
  if (!host_.leave)
    waiting_.insert(waiting_.end(), typed.begin(), typed.end());
  else if (filter_.filter(typed, waiting_))
    host_.leave();
  waiting_.resize(std::min(waiting_.size(), kTyped));
}

void SerialPort::set_watching(bool wanted) {
  if (wanted == watching_ || !pollable_) return;
  if (!wanted) {
    loop_.forget(host_.input);
  } else if (!loop_.watch(host_.input, [this] { pump(true); })) {
    pollable_ = false;
    room_.notify();
    return;
  }
  watching_ = wanted;
}

}  // namespace guestproof::vmm
