// The block device's requests as they stand in guest memory, and its feature bits (virtio 1.3
// §5.2.3 and §5.2.6). Not here: the configuration space (a transport's matter) and zoned storage.
#pragma once

#include <cstddef>
#include <cstdint>

#include "guestproof/base/endian.h"

namespace guestproof::virtio::block {

/// The unit of sector numbers, whatever the block size of the storage.
inline constexpr std::uint64_t kSectorBytes = 512;

/// struct virtio_blk_req up to its data, §5.2.6.
struct VirtioBlkReq {
  le32 type;      // 0
  le32 reserved;  // 4
  le64 sector;    // 8
};
static_assert(sizeof(VirtioBlkReq) == 16);
static_assert(offsetof(VirtioBlkReq, reserved) == 4 && offsetof(VirtioBlkReq, sector) == 8);

inline constexpr std::uint32_t VIRTIO_BLK_T_IN = 0;
inline constexpr std::uint32_t VIRTIO_BLK_T_OUT = 1;
inline constexpr std::uint32_t VIRTIO_BLK_T_FLUSH = 4;
inline constexpr std::uint32_t VIRTIO_BLK_T_GET_ID = 8;
inline constexpr std::uint32_t VIRTIO_BLK_T_GET_LIFETIME = 10;
inline constexpr std::uint32_t VIRTIO_BLK_T_DISCARD = 11;
inline constexpr std::uint32_t VIRTIO_BLK_T_WRITE_ZEROES = 13;
inline constexpr std::uint32_t VIRTIO_BLK_T_SECURE_ERASE = 14;

/// The status byte.
inline constexpr std::uint8_t VIRTIO_BLK_S_OK = 0;
inline constexpr std::uint8_t VIRTIO_BLK_S_IOERR = 1;
inline constexpr std::uint8_t VIRTIO_BLK_S_UNSUPP = 2;

/// The data of VIRTIO_BLK_T_GET_ID: ASCII, padded with NUL, not terminated when it is this long.
inline constexpr std::size_t VIRTIO_BLK_ID_BYTES = 20;

/// struct virtio_blk_discard_write_zeroes, §5.2.6: the data of discard, write zeroes and secure
/// erase is an array of these.
struct VirtioBlkDiscardWriteZeroes {
  le64 sector;       // 0
  le32 num_sectors;  // 8
  le32 flags;        // 12
};
static_assert(sizeof(VirtioBlkDiscardWriteZeroes) == 16);
static_assert(offsetof(VirtioBlkDiscardWriteZeroes, num_sectors) == 8 &&
              offsetof(VirtioBlkDiscardWriteZeroes, flags) == 12);

inline constexpr std::uint32_t VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP = 1;

/// Feature bits, by number, §5.2.3.
inline constexpr unsigned VIRTIO_BLK_F_SIZE_MAX = 1;
inline constexpr unsigned VIRTIO_BLK_F_SEG_MAX = 2;
inline constexpr unsigned VIRTIO_BLK_F_RO = 5;
inline constexpr unsigned VIRTIO_BLK_F_FLUSH = 9;
inline constexpr unsigned VIRTIO_BLK_F_CONFIG_WCE = 11;
inline constexpr unsigned VIRTIO_BLK_F_DISCARD = 13;
inline constexpr unsigned VIRTIO_BLK_F_WRITE_ZEROES = 14;
inline constexpr unsigned VIRTIO_BLK_F_SECURE_ERASE = 16;

}  // namespace guestproof::virtio::block
