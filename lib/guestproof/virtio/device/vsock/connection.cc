#include "guestproof/virtio/device/vsock/connection.h"

#include <algorithm>
#include <utility>

#include "guestproof/base/invariant.h"

namespace guestproof::virtio::vsock {

Connection Connection::by_host(std::uint32_t buffer) { return {State::kRequested, buffer}; }

Connection Connection::by_guest(std::uint32_t buffer, const VsockHdr& request) {
  Connection connection(State::kEstablished, buffer);
  // A guest that says it forwarded something on a connection that does not exist yet is not
  // believed.
  connection.send_.buf_alloc = request.buf_alloc;
  return connection;
}

Result<void> Connection::receive(const VsockHdr& header) {
  if (state_ == State::kReset) return {};
  auto done = check_state(*op_of(header));
  if (done) done = send_.update(header);
  if (done) done = act(header);
  if (!done) reset();
  return done;
}

Result<void> Connection::check_state(Op op) const {
  const bool response = op == Op::kResponse;
  if (state_ == State::kRequested) {
    // A guest cannot answer what it has not seen.
    if (response && !opening_) return {};
    return fail(ConnectionError::kNotEstablished, std::to_underlying(op));
  }
  if (response || op == Op::kRequest)
    return fail(ConnectionError::kEstablished, std::to_underlying(op));
  return {};
}

Result<void> Connection::act(const VsockHdr& header) {
  if (send_.free() != 0) credit_awaited_ = false;
  const auto room = receive_.buf_alloc - to_host_.size();
  switch (*op_of(header)) {
    case Op::kResponse:
      state_ = State::kEstablished;
      break;
    case Op::kRw:
      if (guest_sends_no_more()) return fail(ConnectionError::kAfterShutdown, header.len);
      if (header.len > room) return fail(ConnectionError::kNoCredit, header.len, room);
      break;
    case Op::kShutdown:
      guest_shutdown_ |= header.flags & (kReceive | kSend);
      if (guest_receives_no_more()) to_guest_.clear();
      end_when_drained();
      break;
    case Op::kCreditRequest:
      credit_asked_ = true;
      break;
    case Op::kCreditUpdate:
    case Op::kRequest:
    case Op::kRst:
      break;
  }
  return {};
}

void Connection::receive_data(std::span<const std::byte> data) {
  if (state_ == State::kReset) return;
  if ((host_shutdown_ & kReceive) != 0)
    receive_.fwd_cnt += static_cast<std::uint32_t>(data.size());
  else
    to_host_.push(data);
}

void Connection::reset() {
  state_ = State::kReset;
  to_host_.clear();
  to_guest_.clear();
}

void Connection::forwarded(std::size_t count) {
  to_host_.pop(count);
  receive_.fwd_cnt += static_cast<std::uint32_t>(count);
  end_when_drained();
}

bool Connection::wants_data() const {
  return state_ == State::kEstablished && to_guest_.empty() && !guest_receives_no_more() &&
         (host_shutdown_ & kSend) == 0;
}

void Connection::host_receives_no_more() {
  if (state_ == State::kRequested) return reset();
  host_shutdown_ |= kReceive;
  receive_.fwd_cnt += static_cast<std::uint32_t>(to_host_.size());
  to_host_.clear();
  end_when_drained();
}

void Connection::end_when_drained() {
  if (state_ == State::kEstablished && drained() && guest_receives_no_more()) reset();
}

std::uint32_t Connection::shutdown() const {
  return to_guest_.empty() ? host_shutdown_ : host_shutdown_ & ~kSend;
}

std::optional<Op> Connection::next() const {
  if (finished_) return std::nullopt;
  if (state_ == State::kReset) return Op::kRst;
  if (opening_) return state_ == State::kRequested ? Op::kRequest : Op::kResponse;
  if (state_ == State::kRequested) return std::nullopt;
  if (credit_asked_ || receive_.stale()) return Op::kCreditUpdate;
  if (shutdown() != told_) return Op::kShutdown;
  if (!data().empty()) return Op::kRw;
  if (!to_guest_.empty() && !credit_awaited_) return Op::kCreditRequest;
  return std::nullopt;
}

std::span<const std::byte> Connection::data() const {
  return to_guest_.bytes().first(std::min<std::size_t>(to_guest_.size(), send_.free()));
}

void Connection::fill(VsockHdr& header) const {
  const auto op = next();
  GUESTPROOF_INVARIANT(op);
  header.type = VIRTIO_VSOCK_TYPE_STREAM;
  header.op = std::to_underlying(*op);
  header.flags = *op == Op::kShutdown ? shutdown() : 0;
  auto credit = receive_;
  credit.announce(header);
}

void Connection::sent(std::size_t bytes) {
  const auto op = next();
  GUESTPROOF_INVARIANT(op && bytes <= data().size());
  receive_.announced = receive_.fwd_cnt;
  switch (*op) {
    case Op::kRequest:
    case Op::kResponse:
      opening_ = false;
      break;
    case Op::kRst:
      finished_ = true;
      break;
    case Op::kShutdown:
      told_ = shutdown();
      finished_ = told_ == (kReceive | kSend);
      break;
    case Op::kRw:
      to_guest_.pop(bytes);
      send_.tx_cnt += static_cast<std::uint32_t>(bytes);
      break;
    case Op::kCreditUpdate:
      credit_asked_ = false;
      break;
    case Op::kCreditRequest:
      credit_awaited_ = true;
      break;
  }
}

}  // namespace guestproof::virtio::vsock
