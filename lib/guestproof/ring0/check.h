// Checks for code in ring 0: K_EXPECT_EQ(a, b) and its kin, with the meaning and the messages of
// GoogleTest's macros. More text can be streamed into them:
//
//   K_EXPECT_EQ(inb(0x60), 0xfe) << "after " << n << " keys";
//
// GoogleTest's own checks often work there, too, but take the heap and a good deal of the C++
// library; these take next to nothing.
//
// A failed K_EXPECT goes on; a failed K_ASSERT, K_FAIL and K_SKIP end the test at once, on all
// vCPUs, from any depth of calls; destructors do not run.
//
// Thread-safety: by any vCPU.
#pragma once

#include <concepts>
#include <utility>

#include "guestproof/ring0/guest.h"

namespace guestproof::ring0::checks {

/// What a check found wrong; empty: nothing.
struct Finding {
  Text text;
  [[nodiscard]] bool ok() const { return text.empty(); }
};

inline Finding truth(bool is, bool wanted, const char* expression) {
  Finding finding;
  if (is != wanted)
    finding.text << "Value of: " << expression << "\n  Actual: " << is << "\nExpected: " << wanted;
  return finding;
}

/// Numbers are compared by value: no signed one is equal to, or above, what it would be as
/// unsigned.
template <class T>
concept Number = std::integral<T> && !std::same_as<T, bool> && !std::same_as<T, char> &&
                 !std::same_as<T, wchar_t> && !std::same_as<T, char8_t> &&
                 !std::same_as<T, char16_t> && !std::same_as<T, char32_t>;

/// The expression, and its value where that is not what is written there already.
template <class T>
void show_operand(Text& text, const char* expression, const T& value) {
  text << expression;
  Text shown;
  show(shown, value);
  if (shown.view() == expression) return;
  if constexpr (Number<T>) {
    Text decimal, hexadecimal;
    decimal << value;
    hexadecimal << "0x" << Text::Hex{static_cast<std::uint64_t>(value)};
    if (decimal.view() == expression || hexadecimal.view() == expression) return;
  }
  text << "\n    Which is: " << shown;
}

#define GUESTPROOF_RING0_COMPARISON(Name, sign, of_numbers) \
  struct Name {                                             \
    template <class A, class B>                             \
    bool operator()(const A& a, const B& b) const {         \
      if constexpr (Number<A> && Number<B>)                 \
        return of_numbers(a, b);                            \
      else                                                  \
        return a sign b;                                    \
    }                                                       \
  };
GUESTPROOF_RING0_COMPARISON(Equal, ==, std::cmp_equal)
GUESTPROOF_RING0_COMPARISON(NotEqual, !=, std::cmp_not_equal)
GUESTPROOF_RING0_COMPARISON(Less, <, std::cmp_less)
GUESTPROOF_RING0_COMPARISON(LessEqual, <=, std::cmp_less_equal)
GUESTPROOF_RING0_COMPARISON(Greater, >, std::cmp_greater)
GUESTPROOF_RING0_COMPARISON(GreaterEqual, >=, std::cmp_greater_equal)
#undef GUESTPROOF_RING0_COMPARISON

template <class A, class B>
Finding equal(const char* left, const char* right, const A& a, const B& b) {
  Finding finding;
  if (Equal()(a, b)) return finding;
  finding.text << "Expected equality of these values:\n  ";
  show_operand(finding.text, left, a);
  finding.text << "\n  ";
  show_operand(finding.text, right, b);
  return finding;
}

template <class Relation, class A, class B>
Finding related(const char* sign, const char* left, const char* right, const A& a, const B& b) {
  Finding finding;
  if (Relation()(a, b)) return finding;
  finding.text << "Expected: (" << left << ") " << sign << " (" << right << "), actual: ";
  show(finding.text, a);
  finding.text << " vs ";
  show(finding.text, b);
  return finding;
}

inline Finding same_text(const char* left, const char* right, std::string_view a,
                         std::string_view b) {
  return checks::equal(left, right, a, b);
}

/// Takes what is streamed into a check that failed, and reports all of it.
struct Report {
  const char* file;
  int line;
  Text found;
  void operator=(const Text& more) {
    if (!more.empty()) found << '\n' << more;
    report_failure(file, line, found);
  }
};
struct FatalReport : Report {
  void operator=(const Text& more) {
    Report::operator=(more);
    stop();
  }
};
struct SkipReport {
  [[noreturn]] void operator=(const Text& reason) {
    report_skip(reason);
    stop();
  }
};

/// The value of `Message() << a << b`, which precedes `=`.
class Message {
 public:
  template <class T>
  Message& operator<<(const T& value) {
    if constexpr (requires { text_ << value; })
      text_ << value;
    else
      show(text_, value);
    return *this;
  }
  operator const Text&() const { return text_; }

 private:
  Text text_;
};

}  // namespace guestproof::ring0::checks

// The switch keeps an `else` of the caller's from being taken for this one's.
#define GUESTPROOF_RING0_CHECK(report, finding)                                               \
  switch (0)                                                                                  \
  case 0:                                                                                     \
  default:                                                                                    \
    if (const ::guestproof::ring0::checks::Finding ring0_found = finding; ring0_found.ok()) { \
    } else                                                                                    \
      ::guestproof::ring0::checks::report{__FILE__, __LINE__, ring0_found.text} =             \
          ::guestproof::ring0::checks::Message()
#define GUESTPROOF_RING0_RELATION(report, relation, sign, a, b)                             \
  GUESTPROOF_RING0_CHECK(                                                                   \
      report, (::guestproof::ring0::checks::related<::guestproof::ring0::checks::relation>( \
                  sign, #a, #b, (a), (b))))

#define K_EXPECT_TRUE(condition) \
  GUESTPROOF_RING0_CHECK(        \
      Report, ::guestproof::ring0::checks::truth(static_cast<bool>(condition), true, #condition))
#define K_EXPECT_FALSE(condition) \
  GUESTPROOF_RING0_CHECK(         \
      Report, ::guestproof::ring0::checks::truth(static_cast<bool>(condition), false, #condition))
#define K_EXPECT_EQ(a, b) \
  GUESTPROOF_RING0_CHECK(Report, ::guestproof::ring0::checks::equal(#a, #b, (a), (b)))
#define K_EXPECT_NE(a, b) GUESTPROOF_RING0_RELATION(Report, NotEqual, "!=", a, b)
#define K_EXPECT_LT(a, b) GUESTPROOF_RING0_RELATION(Report, Less, "<", a, b)
#define K_EXPECT_LE(a, b) GUESTPROOF_RING0_RELATION(Report, LessEqual, "<=", a, b)
#define K_EXPECT_GT(a, b) GUESTPROOF_RING0_RELATION(Report, Greater, ">", a, b)
#define K_EXPECT_GE(a, b) GUESTPROOF_RING0_RELATION(Report, GreaterEqual, ">=", a, b)
#define K_EXPECT_STREQ(a, b) \
  GUESTPROOF_RING0_CHECK(Report, ::guestproof::ring0::checks::same_text(#a, #b, (a), (b)))

#define K_ASSERT_TRUE(condition)                                          \
  GUESTPROOF_RING0_CHECK(FatalReport, ::guestproof::ring0::checks::truth( \
                                          static_cast<bool>(condition), true, #condition))
#define K_ASSERT_FALSE(condition)                                         \
  GUESTPROOF_RING0_CHECK(FatalReport, ::guestproof::ring0::checks::truth( \
                                          static_cast<bool>(condition), false, #condition))
#define K_ASSERT_EQ(a, b) \
  GUESTPROOF_RING0_CHECK(FatalReport, ::guestproof::ring0::checks::equal(#a, #b, (a), (b)))
#define K_ASSERT_NE(a, b) GUESTPROOF_RING0_RELATION(FatalReport, NotEqual, "!=", a, b)
#define K_ASSERT_LT(a, b) GUESTPROOF_RING0_RELATION(FatalReport, Less, "<", a, b)
#define K_ASSERT_LE(a, b) GUESTPROOF_RING0_RELATION(FatalReport, LessEqual, "<=", a, b)
#define K_ASSERT_GT(a, b) GUESTPROOF_RING0_RELATION(FatalReport, Greater, ">", a, b)
#define K_ASSERT_GE(a, b) GUESTPROOF_RING0_RELATION(FatalReport, GreaterEqual, ">=", a, b)
#define K_ASSERT_STREQ(a, b) \
  GUESTPROOF_RING0_CHECK(FatalReport, ::guestproof::ring0::checks::same_text(#a, #b, (a), (b)))

/// A failure that goes on, one that ends the test, and the end of a test that cannot be done here.
#define K_ADD_FAILURE()                                                          \
  ::guestproof::ring0::checks::Report{__FILE__, __LINE__,                        \
                                      ::guestproof::ring0::Text() << "Failed"} = \
      ::guestproof::ring0::checks::Message()
#define K_FAIL()                                                       \
  ::guestproof::ring0::checks::FatalReport{                            \
      {__FILE__, __LINE__, ::guestproof::ring0::Text() << "Failed"}} = \
      ::guestproof::ring0::checks::Message()
#define K_SKIP() ::guestproof::ring0::checks::SkipReport{} = ::guestproof::ring0::checks::Message()
