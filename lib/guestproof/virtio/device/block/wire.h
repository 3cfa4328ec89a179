// The block device's requests as they stand in guest memory, its configuration space and its
// feature bits (virtio 1.3 §5.2.3, §5.2.4 and §5.2.6). Not here: zoned storage.
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

/// struct virtio_blk_config, §5.2.4, up to what is zoned.
struct VirtioBlkConfig {
  le64 capacity;  // 0, in sectors
  le32 size_max;  // 8
  le32 seg_max;   // 12
  struct {
    le16 cylinders;        // 16
    std::uint8_t heads;    // 18
    std::uint8_t sectors;  // 19
  } geometry;
  le32 blk_size;  // 20, in bytes
  struct {
    std::uint8_t physical_block_exp;  // 24, log2 of logical blocks in a physical one
    std::uint8_t alignment_offset;    // 25, in logical blocks, as the next two
    le16 min_io_size;                 // 26
    le32 opt_io_size;                 // 28
  } topology;
  std::uint8_t writeback;               // 32
  std::uint8_t unused0;                 // 33
  le16 num_queues;                      // 34
  le32 max_discard_sectors;             // 36
  le32 max_discard_seg;                 // 40
  le32 discard_sector_alignment;        // 44
  le32 max_write_zeroes_sectors;        // 48
  le32 max_write_zeroes_seg;            // 52
  std::uint8_t write_zeroes_may_unmap;  // 56
  std::uint8_t unused1[3];              // 57
  le32 max_secure_erase_sectors;        // 60
  le32 max_secure_erase_seg;            // 64
  le32 secure_erase_sector_alignment;   // 68
};
static_assert(sizeof(VirtioBlkConfig) == 72);
static_assert(offsetof(VirtioBlkConfig, size_max) == 8 && offsetof(VirtioBlkConfig, seg_max) == 12);
static_assert(offsetof(VirtioBlkConfig, geometry) == 16 &&
              offsetof(VirtioBlkConfig, blk_size) == 20 &&
              offsetof(VirtioBlkConfig, topology) == 24);
static_assert(offsetof(VirtioBlkConfig, writeback) == 32 &&
              offsetof(VirtioBlkConfig, num_queues) == 34);
static_assert(offsetof(VirtioBlkConfig, max_discard_sectors) == 36 &&
              offsetof(VirtioBlkConfig, discard_sector_alignment) == 44 &&
              offsetof(VirtioBlkConfig, max_write_zeroes_sectors) == 48 &&
              offsetof(VirtioBlkConfig, write_zeroes_may_unmap) == 56 &&
              offsetof(VirtioBlkConfig, max_secure_erase_sectors) == 60 &&
              offsetof(VirtioBlkConfig, secure_erase_sector_alignment) == 68);

/// Feature bits, by number, §5.2.3.
inline constexpr unsigned VIRTIO_BLK_F_SIZE_MAX = 1;
inline constexpr unsigned VIRTIO_BLK_F_SEG_MAX = 2;
inline constexpr unsigned VIRTIO_BLK_F_GEOMETRY = 4;
inline constexpr unsigned VIRTIO_BLK_F_RO = 5;
inline constexpr unsigned VIRTIO_BLK_F_BLK_SIZE = 6;
inline constexpr unsigned VIRTIO_BLK_F_FLUSH = 9;
inline constexpr unsigned VIRTIO_BLK_F_TOPOLOGY = 10;
inline constexpr unsigned VIRTIO_BLK_F_CONFIG_WCE = 11;
inline constexpr unsigned VIRTIO_BLK_F_MQ = 12;
inline constexpr unsigned VIRTIO_BLK_F_DISCARD = 13;
inline constexpr unsigned VIRTIO_BLK_F_WRITE_ZEROES = 14;
inline constexpr unsigned VIRTIO_BLK_F_SECURE_ERASE = 16;

}  // namespace guestproof::virtio::block
