// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

// One value of a JSON text, by JSON pointer (RFC 6901): "/sensors/0/temperature". The only user of simdjson
// here.
namespace things {

using JsonValue = std::variant<bool, std::int64_t, std::uint64_t, double, std::string>;

/// Keeps its buffers between calls; one thread.
class JsonReader {
public:
    JsonReader();
    JsonReader(JsonReader&&) noexcept;
    ~JsonReader();
    /// Nothing if the text is no JSON, has nothing there, or something that is no scalar (null as well).
    /// Parses all of the text each time: what is broken behind the place makes it nothing, too.
    [[nodiscard]] std::optional<JsonValue> find(std::string_view text, std::string_view pointer);

private:
    struct Parser;
    std::unique_ptr<Parser> parser_;
};

/// By its form; "" (all of the text) is not accepted, since it is no scalar.
[[nodiscard]] bool is_json_pointer(std::string_view text);

} // namespace things
