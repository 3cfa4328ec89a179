#include "guestproof/kvm/exit.h"

#include <gtest/gtest.h>

namespace guestproof::kvm {
namespace {

/// Equal to itself, and to none of those that differ in one member.
template <class T>
void differs_from(const T& exit, std::initializer_list<T> others) {
  EXPECT_EQ(exit, T(exit));
  for (const auto& other : others) EXPECT_NE(exit, other);
}

TEST(ExitTest, PortAccessesAreEqualInEveryMember) {
  differs_from(IoOut{1, 2, 3, {4, 5}}, {{9, 2, 3, {4, 5}},
                                        {1, 9, 3, {4, 5}},
                                        {1, 2, 9, {4, 5}},
                                        {1, 2, 3, {9, 5}},
                                        {1, 2, 3, {4, 9}}});
  differs_from(IoIn{1, 2, 3, {4, 5}},
               {{9, 2, 3, {4, 5}}, {1, 9, 3, {4, 5}}, {1, 2, 9, {4, 5}}, {1, 2, 3, {9, 5}}});
}

TEST(ExitTest, MmioAccessesAreEqualInEveryMember) {
  const std::byte one{1};
  differs_from(MmioWrite{1, {one}, 3}, {{9, {one}, 3}, {1, {}, 3}, {1, {one}, 9}});
  differs_from(MmioRead{1, 2}, {{9, 2}, {1, 9}});
}

TEST(ExitTest, HypercallsAreEqualInEveryMember) {
  differs_from(Hypercall{1, {2}, 3}, {{9, {2}, 3}, {1, {9}, 3}, {1, {2}, 9}});
  differs_from(HypervHypercall{1, {2}}, {{9, {2}}, {1, {9}}});
  differs_from(XenHypercall{true, 2, 3, {4}},
               {{false, 2, 3, {4}}, {true, 9, 3, {4}}, {true, 2, 9, {4}}, {true, 2, 3, {9}}});
  differs_from(RiscvSbi{1, 2, {3}}, {{9, 2, {3}}, {1, 9, {3}}, {1, 2, {9}}});
}

TEST(ExitTest, FailuresAreEqualInEveryMember) {
  const std::byte one{1};
  differs_from(Unknown{1}, {{9}});
  differs_from(FailEntry{1, 2}, {{9, 2}, {1, 9}});
  differs_from(Exception{1, 2}, {{9, 2}, {1, 9}});
  differs_from(InternalError{1, 2, {3}}, {{9, 2, {3}}, {1, 9, {3}}, {1, 2, {9}}});
  differs_from(EmulationFailure{1, {one}, 3}, {{9, {one}, 3}, {1, {}, 3}, {1, {one}, 9}});
  differs_from(MemoryFault{1, 2, 3}, {{9, 2, 3}, {1, 9, 3}, {1, 2, 9}});
  differs_from(Unsupported{1}, {{9}});
}

TEST(ExitTest, EventsAreEqualInEveryMember) {
  differs_from(SystemEvent{1, 2, {3}}, {{9, 2, {3}}, {1, 9, {3}}, {1, 2, {9}}});
  differs_from(TprAccess{1, true}, {{9, true}, {1, false}});
  differs_from(IoapicEoi{1}, {{9}});
  differs_from(HypervSynic{1, 2, 3, 4}, {{9, 2, 3, 4}, {1, 9, 3, 4}, {1, 2, 9, 4}, {1, 2, 3, 9}});
  differs_from(HypervSyndbg{1, 2, 3, 4, 5, 6}, {{9, 2, 3, 4, 5, 6},
                                                {1, 9, 3, 4, 5, 6},
                                                {1, 2, 9, 4, 5, 6},
                                                {1, 2, 3, 9, 5, 6},
                                                {1, 2, 3, 4, 9, 6},
                                                {1, 2, 3, 4, 5, 9}});
  differs_from(ArmNisv{1, 2}, {{9, 2}, {1, 9}});
  differs_from(Notify{true}, {{false}});
}

TEST(ExitTest, RegisterAccessesAreEqualInEveryMember) {
  differs_from(Rdmsr{1, 2}, {{9, 2}, {1, 9}});
  differs_from(Wrmsr{1, 2, 3}, {{9, 2, 3}, {1, 9, 3}, {1, 2, 9}});
  differs_from(RiscvCsr{1, 2, 3}, {{9, 2, 3}, {1, 9, 3}, {1, 2, 9}});
}

TEST(ExitTest, StopsOfADebuggerAreEqualInEveryMember) {
#if defined(__x86_64__)
  differs_from(Debug{1, 2, 3, 4}, {{9, 2, 3, 4}, {1, 9, 3, 4}, {1, 2, 9, 4}, {1, 2, 3, 9}});
#elif defined(__aarch64__)
  differs_from(Debug{1, 2}, {{9, 2}, {1, 9}});
#else
  differs_from(Debug{}, {});
#endif
}

TEST(ExitTest, ExitsThatCarryNothingDifferByTheirReason) {
  EXPECT_EQ(Exit(Hlt{}), Exit(Hlt{}));
  EXPECT_NE(Exit(Hlt{}), Exit(Shutdown{}));
  EXPECT_EQ(Hlt::kReason, 5U);
}

}  // namespace
}  // namespace guestproof::kvm
