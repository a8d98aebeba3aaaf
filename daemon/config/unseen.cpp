// SPDX-License-Identifier: Apache-2.0
#include "config/unseen.hpp"

#include "platform/printable.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace things {

namespace {

struct Range {
    char32_t first, last;
};
// Unicode 15: Zs but the space, Zl, Zp, Cc, Cf, and the letters that are drawn as nothing. Joiners of emoji
// (variation selectors) are left out: they change what is seen.
constexpr std::array ranges{
    Range{0x00, 0x08},       Range{0x0b, 0x0c},      Range{0x0e, 0x1f},     Range{0x7f, 0xa0},
    Range{0xad, 0xad},       Range{0x34f, 0x34f},    Range{0x61c, 0x61c},   Range{0x115f, 0x1160},
    Range{0x1680, 0x1680},   Range{0x17b4, 0x17b5},  Range{0x180e, 0x180e}, Range{0x2000, 0x200f},
    Range{0x2028, 0x202f},   Range{0x205f, 0x206f},  Range{0x2800, 0x2800}, Range{0x3000, 0x3000},
    Range{0x3164, 0x3164},   Range{0xfeff, 0xfeff},  Range{0xffa0, 0xffa0}, Range{0xfff9, 0xfffb},
    Range{0x1d173, 0x1d17a}, Range{0xe0000, 0xe007f}};

struct Name {
    char32_t code;
    std::string_view name;
};
constexpr std::array names{
    Name{0x00, "NUL"},
    Name{0x7f, "delete"},
    Name{0x85, "next line"},
    Name{0xa0, "no-break space"},
    Name{0xad, "soft hyphen"},
    Name{0x200b, "zero width space"},
    Name{0x200c, "zero width non-joiner"},
    Name{0x200d, "zero width joiner"},
    Name{0x200e, "left-to-right mark"},
    Name{0x200f, "right-to-left mark"},
    Name{0x2009, "thin space"},
    Name{0x2028, "line separator"},
    Name{0x2029, "paragraph separator"},
    Name{0x202d, "left-to-right override"},
    Name{0x202e, "right-to-left override"},
    Name{0x202f, "narrow no-break space"},
    Name{0x2060, "word joiner"},
    Name{0x3000, "ideographic space"},
    Name{0xfeff, "byte order mark"},
};

bool is_unseen(char32_t code) {
    return std::any_of(ranges.begin(), ranges.end(),
                       [code](const Range& range) { return code >= range.first && code <= range.last; });
}

std::string number(char32_t code) {
    return fmt::format("U+{:04X}", static_cast<std::uint32_t>(code));
}

template <typename Replace>
std::string replace_unseen(std::string_view text, const Replace& replace) {
    std::string out;
    while (const std::optional<Unseen> unseen = find_unseen(text)) {
        out += text.substr(0, unseen->at);
        out += replace(*unseen);
        text.remove_prefix(unseen->at + unseen->length);
    }
    return out.append(text);
}

} // namespace

std::string Unseen::name() const {
    const auto* known =
        std::find_if(names.begin(), names.end(), [this](const Name& entry) { return entry.code == code; });
    return known == names.end() ? number(code) : fmt::format("{} ({})", number(code), known->name);
}

std::optional<Unseen> find_unseen(std::string_view text) {
    std::size_t index = 0;
    for (std::size_t at = 0; at < text.size(); ++index) {
        const auto byte = static_cast<unsigned char>(text[at]);
        if (byte >= 0x20 && byte < 0x7f) { // nearly all there is
            ++at;
            continue;
        }
        const LeadingCharacter character = leading_character(text.substr(at));
        if (is_unseen(character.code))
            return Unseen{at, character.length, index, character.code};
        at += character.length;
    }
    return std::nullopt;
}

std::string show_unseen(std::string_view text) {
    return replace_unseen(text, [](const Unseen& unseen) { return '<' + number(unseen.code) + '>'; });
}

std::string drop_unseen(std::string_view text) {
    return replace_unseen(text, [](const Unseen&) { return std::string(); });
}

} // namespace things
