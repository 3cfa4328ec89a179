// Text in a fixed room, written without an allocation, a lock or a system call: what code in ring 0
// can do. What does not fit is cut off, and the end says so.
//
// Thread-safety: none; a value.
#pragma once

#include <array>
#include <charconv>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

namespace guestproof::ring0 {

class Text {
 public:
  static constexpr std::size_t kCapacity = 2000;
  static constexpr std::string_view kCut = " [...]";

  [[nodiscard]] std::string_view view() const { return {letters_.data(), length_}; }
  [[nodiscard]] bool empty() const { return length_ == 0; }

  Text& operator<<(std::string_view text) {
    const auto room = kCapacity - length_;
    const auto count = text.size() < room ? text.size() : room;
    std::memcpy(letters_.data() + length_, text.data(), count);
    length_ += count;
    if (count < text.size())
      std::memcpy(letters_.data() + kCapacity - kCut.size(), kCut.data(), kCut.size());
    return *this;
  }
  Text& operator<<(const char* text) { return *this << std::string_view(text ? text : "NULL"); }
  Text& operator<<(char letter) { return *this << std::string_view(&letter, 1); }
  Text& operator<<(bool value) { return *this << std::string_view(value ? "true" : "false"); }
  Text& operator<<(const Text& other) { return *this << other.view(); }
  template <class T>
    requires(std::integral<T> && !std::same_as<T, bool> && !std::same_as<T, char>)
  Text& operator<<(T value) {
    return number(value, 10);
  }
  template <std::floating_point T>
  Text& operator<<(T value) {
    return number(value);
  }
  template <class T>
    requires(!std::same_as<T, char>)
  Text& operator<<(T* pointer) {
    return pointer ? *this << "0x" << Hex{reinterpret_cast<std::uintptr_t>(pointer)}
                   : *this << std::string_view("NULL");
  }

  /// For `text << Text::Hex{value}`: without a prefix, `digits` of them at least.
  struct Hex {
    std::uint64_t value;
    std::size_t digits = 1;
  };
  Text& operator<<(Hex hex) {
    std::array<char, 16> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), hex.value, 16);
    const auto length = static_cast<std::size_t>(end.ptr - digits.data());
    for (auto i = length; i < hex.digits; ++i) *this << '0';
    return *this << std::string_view(digits.data(), length);
  }

 private:
  template <class... Arguments>
  Text& number(Arguments... arguments) {
    std::array<char, 48> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), arguments...);
    return *this << std::string_view(digits.data(),
                                     static_cast<std::size_t>(end.ptr - digits.data()));
  }

  std::array<char, kCapacity> letters_;
  std::size_t length_ = 0;
};

/// For the host: "0x1f".
[[nodiscard]] inline std::string hex(std::uint64_t value) {
  Text text;
  text << "0x" << Text::Hex{value};
  return std::string(text.view());
}

/// A value as a failure shows it. A type of your own gets a `void print_to(Text&, const T&)` in its
/// namespace; without one its bytes are shown.
template <class T>
void show(Text& text, const T& value) {
  if constexpr (requires { print_to(text, value); }) {
    print_to(text, value);
  } else if constexpr (std::is_same_v<T, char>) {
    text << '\'' << value << "' (" << static_cast<int>(value) << ')';
  } else if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
    text << value;
    // What registers hold is read in hexadecimal.
    const auto bits = static_cast<std::uint64_t>(static_cast<std::make_unsigned_t<T>>(value));
    if (bits > 9) text << " (0x" << Text::Hex{bits} << ')';
  } else if constexpr (std::is_enum_v<T>) {
    show(text, static_cast<std::underlying_type_t<T>>(value));
  } else if constexpr (std::is_null_pointer_v<T>) {
    text << "nullptr";
  } else if constexpr (std::is_convertible_v<const T&, std::string_view>) {
    text << '"' << std::string_view(value) << '"';
  } else if constexpr (requires { text << value; }) {
    text << value;
  } else {
    text << sizeof(T) << "-byte object <";
    const auto* bytes = reinterpret_cast<const unsigned char*>(&value);
    for (std::size_t i = 0; i < sizeof(T); ++i)
      text << (i == 0 ? "" : " ") << Text::Hex{bytes[i], 2};
    text << '>';
  }
}

}  // namespace guestproof::ring0
