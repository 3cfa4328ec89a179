// What a user's first program does: it looks for a KVM; a driver sends a number, the device answers
// it.
#include <cstdio>

#include "guestproof/kvm/kvm.h"
#include "guestproof/memory/mapped_memory.h"
#include "guestproof/testing/driver.h"
#include "guestproof/virtio/queue/split_queue.h"
#include "guestproof/virtio/queue/turn.h"

using guestproof::GuestAddress;
using guestproof::MappedMemory;
using Queue = guestproof::virtio::SplitQueue<MappedMemory>;

guestproof::Result<void> serve(guestproof::virtio::Chain<Queue> chain) {
  const auto number = chain.reader().read_object<guestproof::le32>();
  if (!number || !chain.writer().write_object(guestproof::le32(*number + 1))) return {};
  return chain.complete(sizeof *number);
}

int main() {
  const auto kvm = guestproof::kvm::Kvm::open("/dev/null");
  std::printf("%s\n", kvm ? "a KVM" : kvm.error().message().c_str());
  if (kvm) return 1;

  const auto memory = MappedMemory::Builder().anonymous(GuestAddress(0), 0x10000).build().value();
  guestproof::testing::Driver driver(memory,
                                     guestproof::testing::QueueLayout::at(GuestAddress(0), 8));
  Queue queue;
  if (!queue.activate(memory, driver.layout().config(), {})) return 1;
  driver.add_chain({{GuestAddress(0x1000), 4}, {GuestAddress(0x2000), 4, true}});

  const auto turn =
      guestproof::virtio::take_turn(queue, guestproof::virtio::whole_queue(queue), serve);
  if (!turn || !turn->notify || turn->more) return 1;

  const auto answer = guestproof::read_object<guestproof::le32>(memory, GuestAddress(0x2000));
  std::printf("answered %u\n", static_cast<unsigned>(*answer));
  return *answer == 1 ? 0 : 1;
}
