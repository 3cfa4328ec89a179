#include "guestproof/loader/error.h"

namespace guestproof::loader {
namespace {

constexpr std::array kElfEntries{
    ErrorEntry{ElfError::kShort, "short", "a file of {value} bytes; an ELF header has {limit}"},
    ErrorEntry{ElfError::kMagic, "magic", "a file that begins with {value:x}, not {limit:x}"},
    ErrorEntry{ElfError::kClass, "class", "ELF class {value}; 64-bit is {limit}"},
    ErrorEntry{ElfError::kByteOrder, "byte_order",
               "ELF byte order {value}; little-endian is {limit}"},
    ErrorEntry{ElfError::kMachine, "machine", "a kernel for ELF machine {value}, not {limit}"},
    ErrorEntry{ElfError::kType, "type",
               "ELF type {value}, neither executable nor shared ({limit})"},
    ErrorEntry{ElfError::kHeaderSize, "header_size",
               "program headers of {value} bytes; they have {limit}"},
    ErrorEntry{ElfError::kHeaders, "headers",
               "{value} program headers; from 1 to {limit} are read"},
    ErrorEntry{ElfError::kHeaderTable, "header_table",
               "program headers at {value:x} pass the end of a file of {limit:x} bytes"},
    ErrorEntry{ElfError::kInterpreter, "interpreter",
               "program header {value} asks for an interpreter: this is no kernel"},
    ErrorEntry{ElfError::kSegmentSize, "segment_size",
               "a segment has {value:x} bytes in the file and {limit:x} in memory"},
    ErrorEntry{ElfError::kSegmentFile, "segment_file",
               "a segment at {value:x} passes the end of a file of {limit:x} bytes"},
    ErrorEntry{ElfError::kSegmentLow, "segment_low",
               "a segment for {value:x}; what the loader needs lies below {limit:x}"},
    ErrorEntry{ElfError::kSegmentHigh, "segment_high",
               "a segment for {value:x} of {limit:x} bytes is not below 4 GiB"},
    ErrorEntry{ElfError::kSegmentOverlap, "segment_overlap",
               "a segment for {value:x} overlaps the one for {limit:x}"},
    ErrorEntry{ElfError::kNoteFile, "note_file",
               "notes at {value:x} pass the end of a file of {limit:x} bytes"},
    ErrorEntry{ElfError::kNoteBytes, "note_bytes",
               "{value} bytes of notes; at most {limit} are read"},
    ErrorEntry{ElfError::kNoteAlignment, "note_alignment",
               "notes aligned to {value} bytes; 4 and {limit} are known"},
    ErrorEntry{ElfError::kNoteHeader, "note_header",
               "{value} bytes of notes are left, and a note begins with {limit}"},
    ErrorEntry{ElfError::kNoteLength, "note_length", "a note of {value} bytes; {limit} are left"},
    ErrorEntry{ElfError::kPvhLength, "pvh_length",
               "a PVH entry of {value} bytes; it has 4 or {limit}"},
    ErrorEntry{ElfError::kPvhTwice, "pvh_twice", "a PVH entry {value:x} after the entry {limit:x}"},
    ErrorEntry{ElfError::kNoSegment, "no_segment", "{value} program headers, and nothing to load"},
    ErrorEntry{ElfError::kPvhEntry, "pvh_entry",
               "the PVH entry {value:x} is not in what the file has of its {limit} segments"},
    ErrorEntry{ElfError::kEntry, "entry",
               "the entry {value:x} is not in what the file has of its {limit} segments"},
    ErrorEntry{ElfError::kProtocol, "protocol",
               "the kernel has no entry for protocol {value} (0: 64-bit, {limit}: PVH)"},
};
static_assert(error_entries_are_dense(kElfEntries));
constexpr ErrorDomain kElfDomain{"elf", kElfEntries};

constexpr std::array kBzImageEntries{
    ErrorEntry{BzImageError::kShort, "short",
               "a file of {value} bytes; the setup header may need {limit}"},
    ErrorEntry{BzImageError::kBootFlag, "boot_flag", "the boot flag is {value:x}, not {limit:x}"},
    ErrorEntry{BzImageError::kMagic, "magic",
               "the setup header begins with {value:x}, not {limit:x}"},
    ErrorEntry{BzImageError::kVersion, "version",
               "boot protocol {value:x}; a 64-bit entry exists since {limit:x}"},
    ErrorEntry{
        BzImageError::kHeaderEnd, "header_end",
        "the setup header ends at {value:x}: before what is needed of it, or past {limit:x}"},
    ErrorEntry{BzImageError::kNotHigh, "not_high",
               "loadflags {value:x} without {limit:x}: the kernel wants to be below 1 MiB"},
    ErrorEntry{BzImageError::kNot64Bit, "not_64_bit",
               "xloadflags {value:x} without {limit:x}: there is no 64-bit entry"},
    ErrorEntry{BzImageError::kSetup, "setup",
               "{value} bytes of boot sector and setup leave nothing of a file of {limit}"},
    ErrorEntry{BzImageError::kKernelSize, "kernel_size",
               "syssize means {value} bytes; the file has {limit}"},
    ErrorEntry{BzImageError::kEntry, "entry", "a kernel of {value} bytes; its entry is at {limit}"},
    ErrorEntry{BzImageError::kAlignment, "alignment",
               "kernel_alignment {value:x} is not a power of two up to {limit:x}"},
    ErrorEntry{BzImageError::kPreferredAddress, "preferred_address",
               "pref_address {value:x} with init_size {limit:x} is not between 1 MiB and 4 GiB"},
    ErrorEntry{BzImageError::kPayload, "payload",
               "a payload at {value:x} passes the end of a kernel of {limit:x} bytes"},
    ErrorEntry{BzImageError::kPayloadShort, "payload_short",
               "a payload of {value} bytes; its format begins and ends with {limit}"},
    ErrorEntry{BzImageError::kLoadLow, "load_low",
               "a load address of {value:x}; what the loader needs lies below {limit:x}"},
    ErrorEntry{BzImageError::kLoadHigh, "load_high",
               "loaded at {value:x} the kernel needs memory past {limit:x}"},
    ErrorEntry{BzImageError::kNotRelocatable, "not_relocatable",
               "a load address of {value:x} for a kernel that must be at {limit:x}"},
    ErrorEntry{BzImageError::kLoadAlignment, "load_alignment",
               "a load address of {value:x} for a kernel that is aligned to {limit:x}"},
};
static_assert(error_entries_are_dense(kBzImageEntries));
constexpr ErrorDomain kBzImageDomain{"bzimage", kBzImageEntries};

constexpr std::array kArm64ImageEntries{
    ErrorEntry{Arm64ImageError::kShort, "short",
               "a file of {value} bytes; the header of an Image has {limit}"},
    ErrorEntry{Arm64ImageError::kMagic, "magic", "the magic number is {value:x}, not {limit:x}"},
    ErrorEntry{Arm64ImageError::kTextOffset, "text_offset",
               "text_offset {value:x} is not below {limit:x}"},
    ErrorEntry{Arm64ImageError::kImageSize, "image_size",
               "image_size {value:x} is less than the header of {limit:x} bytes"},
    ErrorEntry{Arm64ImageError::kBase, "base", "a base of {value:x} is not aligned to {limit:x}"},
    ErrorEntry{Arm64ImageError::kBaseHigh, "base_high",
               "an image of {limit:x} bytes with base {value:x} is not in 52 bits of addresses"},
};
static_assert(error_entries_are_dense(kArm64ImageEntries));
constexpr ErrorDomain kArm64ImageDomain{"arm64_image", kArm64ImageEntries};

constexpr std::array kCmdlineEntries{
    ErrorEntry{CmdlineError::kControlCharacter, "control_character",
               "byte {value:x} at {limit} of a piece of the command line"},
    ErrorEntry{CmdlineError::kTooLong, "too_long",
               "a command line of {value} bytes; the kernel takes {limit}"},
};
static_assert(error_entries_are_dense(kCmdlineEntries));
constexpr ErrorDomain kCmdlineDomain{"cmdline", kCmdlineEntries};

constexpr std::array kBootEntries{
    ErrorEntry{BootError::kEmptyRange, "empty_range", "a range of no bytes at {value:x}"},
    ErrorEntry{BootError::kRangeEnd, "range_end",
               "a range at {value:x} of {limit:x} bytes is not in 52 bits of addresses"},
    ErrorEntry{BootError::kRamOverlap, "ram_overlap", "RAM at {value:x} overlaps RAM at {limit:x}"},
    ErrorEntry{BootError::kReservedOverlap, "reserved_overlap",
               "a reserved range at {value:x} overlaps the one at {limit:x}"},
    ErrorEntry{BootError::kMapEntries, "map_entries",
               "a memory map of {value} entries; a kernel is told of {limit}"},
    ErrorEntry{BootError::kInitrdEmpty, "initrd_empty", "an initrd of {value} bytes"},
    ErrorEntry{BootError::kInitrdRoom, "initrd_room",
               "no RAM up to {limit:x} has room for an initrd of {value} bytes"},
};
static_assert(error_entries_are_dense(kBootEntries));
constexpr ErrorDomain kBootDomain{"boot", kBootEntries};

constexpr std::array kMpTableEntries{
    ErrorEntry{MpTableError::kProcessors, "processors",
               "{value} processors; an MP table has 1 to {limit}"},
    ErrorEntry{MpTableError::kAddress, "address",
               "an MP table at {value:x}: not aligned to {limit} bytes, or not below 4 GiB"},
};
static_assert(error_entries_are_dense(kMpTableEntries));
constexpr ErrorDomain kMpTableDomain{"mp_table", kMpTableEntries};

}  // namespace

const ErrorDomain& error_domain(ElfError) { return kElfDomain; }
const ErrorDomain& error_domain(BzImageError) { return kBzImageDomain; }
const ErrorDomain& error_domain(Arm64ImageError) { return kArm64ImageDomain; }
const ErrorDomain& error_domain(CmdlineError) { return kCmdlineDomain; }
const ErrorDomain& error_domain(BootError) { return kBootDomain; }
const ErrorDomain& error_domain(MpTableError) { return kMpTableDomain; }

}  // namespace guestproof::loader
