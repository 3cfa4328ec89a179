// The header of a vsock packet as the models see it, §5.10.6: numbers, and where in 44 bytes they
// are.
//
// Thread-safety: none.
#pragma once

#include <array>
#include <cstdint>

namespace guestproof::testing {

struct ModelVsockHeader {
  static constexpr std::size_t kBytes = 44;
  static constexpr std::uint64_t kHost = 2;  // the host's CID, §5.10.4
  enum Op : std::uint16_t {
    kNone,
    kRequest,
    kResponse,
    kRst,
    kShutdown,
    kRw,
    kCreditUpdate,
    kCreditRequest,
  };
  using Bytes = std::array<std::uint8_t, kBytes>;

  std::uint64_t src_cid = 0, dst_cid = 0;
  std::uint32_t src_port = 0, dst_port = 0, len = 0;
  std::uint16_t type = 0, op = 0;
  std::uint32_t flags = 0, buf_alloc = 0, fwd_cnt = 0;

  [[nodiscard]] static ModelVsockHeader from(const Bytes& bytes);
  [[nodiscard]] Bytes bytes() const;
};

}  // namespace guestproof::testing
