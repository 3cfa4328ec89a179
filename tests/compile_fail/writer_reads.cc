// Device-writable buffers are not read (§2.7.5): what they hold is none of the device's business.
#include "guestproof/memory/mapped_memory.h"
#include "guestproof/virtio/queue/cursor.h"

using guestproof::MappedMemory;

bool answer(guestproof::virtio::Writer<MappedMemory>& out) {
#ifdef MUST_NOT_COMPILE
  return out.read_object<int>().has_value();
#else
  return out.write_object(7).has_value();
#endif
}
