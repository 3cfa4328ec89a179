// The socket device under test, with a host whose sockets the scenario scripts
// (vsock_device_host.h), and its model. Target: vsock_device. Queue 0 is rx, 1 tx, 2 event. The
// limits are small: 4 connections, buffers of 2048 bytes, 4 answers that wait, 512 bytes of one
// read.
//
// A `request` record on the tx queue is a packet:
//   kind     bits 0-3 (modulo 9): the op, except that 0 is RW and 5 is INVALID; 8 is unknown.
//            bits 4-7: 0, its ports are those of `value`; n, those of the connection n - 1 (modulo
//            how many there are, by their ports)
//   value    the guest's port, and the host's in its upper half
//   length   bytes of data, modulo 2050, and the header's len
//   address  where the data lies
//   next     so many bytes fewer (a negative number: more) than all that the guest has been sent
//            are what fwd_cnt says
//   extra    its lowest four bits are the header's flags, the others buf_alloc (0: 4096)
//   cut, flags  as in RequestShape: pieces of header and data, indirect, data behind the header
// With flags=raw some of it is wrong, and the ports are those of a connection, or 1 and 1:
//   value    four times 16 bits that change (exclusive or) src_cid, dst_cid, the upper 32 bits of
//            both (8 bits of each), and type
//   length   the header's len, whatever data there is
//   index    bytes of data that the chain has, modulo 2048; negative (0xffff is -1): so many bytes
//            of the header are missing
//   next     modulo 64: device-writable bytes at the end
//
// On the rx queue a `request` is a buffer: `length`, room for data after a header, modulo 2048 (0:
// 512); with flags=raw `length` (modulo 4096) is all of it, and `index` (modulo 64) device-readable
// bytes come first. On the event queue the same, with `length` (modulo 64; 0: 4) all of it.
//
// A `backend` record, by kind; bit 63 of the value: the device does not look at its events yet. A
// socket is one of those that were ever opened, modulo how many those are:
//   0  the driver's features, see device_harness.h
//   1  a client connects to the port `value` (its lower 32 bits) of the guest
//   2  the peer of socket `value` (8 bits) sends bytes: as many as the bits from 8 on say, modulo
//      2049
//   3  the peer of that socket sends no more
//   4  it is gone
//   5  it takes so many bytes (modulo 4096, from bit 8 on) from now on
//   6  a call fails the next time; modulo 3: connecting, accepting, reading
//   7  no write takes more than `value` bytes (modulo 256) at once; 0: as many as there are
//   8  that socket is said to be ready, for no reason
#pragma once

#include "guestproof/testing/harness/device_harness.h"
#include "guestproof/testing/harness/vsock_device_host.h"
#include "guestproof/testing/model/vsock_device_model.h"
#include "guestproof/virtio/device/vsock/virtio_vsock.h"

namespace guestproof::testing {

class VsockDeviceHarness : public DeviceHarness {
 public:
  VsockDeviceHarness();
  ~VsockDeviceHarness() override { disconnect(); }

  [[nodiscard]] std::string_view name() const override { return "vsock_device"; }

 protected:
  /// The device's.
  [[nodiscard]] VsockDeviceHost& host() { return host_; }
  void host_event(std::uint8_t kind, const Record& record) override;

 private:
  static constexpr std::uint64_t kGuestCid = 42;

  void reset_device() override;
  void request(Lane& lane, const Record& record) override;
  [[nodiscard]] Turn serve_model(Lane& lane, std::uint32_t looks) override;
  [[nodiscard]] Turn serve_host_model() override;
  [[nodiscard]] std::uint8_t host_event_kinds() const override { return 8; }
  void compare_devices() override;

  void request_tx(Lane& lane, const Record& record);
  void request_room(Lane& lane, const Record& record, std::uint32_t room);
  [[nodiscard]] virtio::vsock::VsockHdr header_of(const Record& record) const;

  /// Packets of the guest when it has some, then packets for it.
  [[nodiscard]] Turn exchange(bool transmit);
  [[nodiscard]] Turn transmit();
  [[nodiscard]] Turn receive();
  [[nodiscard]] Turn tell_event();
  void script_socket(std::uint8_t kind, std::size_t socket, std::uint64_t amount);

  VsockDeviceHost host_;
  virtio::vsock::VirtioVsock<WatchedMemory> device_;
  VsockDeviceModel model_;

  Depth::Index tx_ops_, rx_ops_;  // the first of each
  Depth::Index to_host_, to_guest_, cut_, half_written_, accepted_, answers_full_, told_reset_,
      drained_;
};

}  // namespace guestproof::testing
