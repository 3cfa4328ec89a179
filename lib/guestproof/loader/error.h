// What can be wrong with a kernel's file, a command line, and what a boot is made of.
#pragma once

#include "guestproof/base/error.h"

namespace guestproof::loader {

/// An ELF kernel.
enum class ElfError : std::uint16_t {
  kShort,
  kMagic,
  kClass,
  kByteOrder,
  kMachine,
  kType,
  kHeaderSize,
  kHeaders,
  kHeaderTable,
  kInterpreter,
  kSegmentSize,
  kSegmentFile,
  kSegmentLow,
  kSegmentHigh,
  kSegmentOverlap,
  kNoteFile,
  kNoteBytes,
  kNoteAlignment,
  kNoteHeader,
  kNoteLength,
  kPvhLength,
  kPvhTwice,
  kNoSegment,
  kPvhEntry,
  kEntry,
  kProtocol,
};
const ErrorDomain& error_domain(ElfError);

/// A bzImage, and where it is to be loaded.
enum class BzImageError : std::uint16_t {
  kShort,
  kBootFlag,
  kMagic,
  kVersion,
  kHeaderEnd,
  kNotHigh,
  kNot64Bit,
  kSetup,
  kKernelSize,
  kEntry,
  kAlignment,
  kPreferredAddress,
  kPayload,
  kPayloadShort,
  kLoadLow,
  kLoadHigh,
  kNotRelocatable,
  kLoadAlignment,
};
const ErrorDomain& error_domain(BzImageError);

/// An arm64 Image, and where it is to be loaded.
enum class Arm64ImageError : std::uint16_t {
  kShort,
  kMagic,
  kTextOffset,
  kImageSize,
  kBase,
  kBaseHigh,
};
const ErrorDomain& error_domain(Arm64ImageError);

/// A piece of a command line.
enum class CmdlineError : std::uint16_t {
  kControlCharacter,
  kTooLong,
};
const ErrorDomain& error_domain(CmdlineError);

/// Memory as a kernel is told of it, and an initrd's place in it.
enum class BootError : std::uint16_t {
  kEmptyRange,
  kRangeEnd,
  kRamOverlap,
  kReservedOverlap,
  kMapEntries,
  kInitrdEmpty,
  kInitrdRoom,
};
const ErrorDomain& error_domain(BootError);

/// What an MP table cannot say.
enum class MpTableError : std::uint16_t {
  kProcessors,
  kAddress,
};
const ErrorDomain& error_domain(MpTableError);

}  // namespace guestproof::loader
