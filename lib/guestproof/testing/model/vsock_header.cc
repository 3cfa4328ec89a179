#include "guestproof/testing/model/vsock_header.h"

#include "guestproof/testing/model/model_memory.h"

namespace guestproof::testing {

ModelVsockHeader ModelVsockHeader::from(const Bytes& bytes) {
  const auto word = [&](std::size_t at) {
    return static_cast<std::uint32_t>(number_in(bytes, at, 4));
  };
  const auto half = [&](std::size_t at) {
    return static_cast<std::uint16_t>(number_in(bytes, at, 2));
  };
  return {.src_cid = number_in(bytes, 0, 8),
          .dst_cid = number_in(bytes, 8, 8),
          .src_port = word(16),
          .dst_port = word(20),
          .len = word(24),
          .type = half(28),
          .op = half(30),
          .flags = word(32),
          .buf_alloc = word(36),
          .fwd_cnt = word(40)};
}

ModelVsockHeader::Bytes ModelVsockHeader::bytes() const {
  Bytes out{};
  put_number(out, 0, 8, src_cid);
  put_number(out, 8, 8, dst_cid);
  put_number(out, 16, 4, src_port);
  put_number(out, 20, 4, dst_port);
  put_number(out, 24, 4, len);
  put_number(out, 28, 2, type);
  put_number(out, 30, 2, op);
  put_number(out, 32, 4, flags);
  put_number(out, 36, 4, buf_alloc);
  put_number(out, 40, 4, fwd_cnt);
  return out;
}

}  // namespace guestproof::testing
