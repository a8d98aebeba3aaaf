// SPDX-License-Identifier: Apache-2.0
#include "config/section.hpp"

#include "config/nearest.hpp"
#include "config/scalar.hpp"
#include "config/secrets.hpp"
#include "config/unseen.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace things {

Entries entries_of(const Node& map) {
    Entries entries;
    entries.reserve(map.children.size() / 2);
    for (std::size_t i = 0; map.is_map() && i + 1 < map.children.size(); i += 2) {
        const Node& key = map.children[i];
        const auto same = [&key](const Entry& entry) {
            return entry.first->text == key.text;
        };
        // The parser has told of doubles; here the first one counts. Not looked for in long mappings, where
        // that would take the square of their length.
        if (key.is_scalar() && key.text != "<<" &&
            (map.children.size() > 128 || std::none_of(entries.begin(), entries.end(), same)))
            entries.emplace_back(&key, &map.children[i + 1]);
    }
    return entries;
}

Entries merge(const Entries& under, const Entries& over) {
    Entries merged = under;
    for (const Entry& entry : over) {
        const auto same = [&entry](const Entry& other) {
            return other.first->text == entry.first->text;
        };
        const auto found = std::find_if(merged.begin(), merged.end(), same);
        if (found == merged.end())
            merged.push_back(entry);
        else
            *found = entry;
    }
    return merged;
}

Section::Section(std::string what, Place place, const Entries& entries, Table table, Problems& problems)
    : what_(std::move(what)), place_(std::move(place)), table_(table), problems_(problems) {
    fields_.reserve(entries.size());
    for (const Entry& entry : entries) {
        const auto same = [&entry](const Key& key) {
            return key.name == entry.first->text;
        };
        const auto key = std::find_if(table_.begin(), table_.end(), same);
        if (key == table_.end()) {
            others_.push_back(entry);
            continue;
        }
        if (entry.second->is_null())
            report_null(entry, *key);
        fields_.push_back({&*key, entry.second});
    }
}

void Section::report_null(const Entry& entry, const Key& key) {
    if (key.nullable)
        return;
    problems_.error(entry.first->place(), fmt::format("{} has no value; give it {}, or leave the key out",
                                                      key.name, expectation(key.type, key.choices)));
}

void Section::check_names(const OtherKeys& others) {
    std::vector<std::string_view> missing;
    for (const Key& key : table_)
        if (key.required && !has(key.name))
            missing.push_back(key.name);
    for (const Entry& entry : others_) {
        const std::string& name = entry.first->text;
        if (others.is_known && others.is_known(name))
            continue;
        std::vector<std::string_view> names;
        for (const Key& key : table_)
            names.push_back(key.name);
        const std::vector<std::string_view> more =
            others.names ? others.names() : std::vector<std::string_view>();
        names.insert(names.end(), more.begin(), more.end());
        // Within braces `0,1` is the number 0 and a key 1.
        if (entry.second->is_null() && !name.empty() &&
            name.find_first_not_of("0123456789") == std::string::npos) {
            problems_.error(
                entry.first->place(),
                fmt::format("unknown key {} in {}; is it behind a decimal comma? Write the number with a "
                            "point, as in 0.{}",
                            quote(name), what_, name));
            continue;
        }
        // A slip in a key that must be there: one mistake, not two.
        const bool is_meant = !nearest(name, missing).empty();
        const std::string where = others.where_it_goes && !is_meant ? others.where_it_goes(name) : "";
        problems_.error(entry.first->place(), fmt::format("unknown key {} in {}{}", quote(name), what_,
                                                          is_meant        ? hint(name, missing)
                                                          : where.empty() ? hint(name, names)
                                                                          : "; it goes " + where));
    }
    for (const Key& key : table_)
        if (key.required && !has(key.name))
            problems_.error(place_, fmt::format("{} has no \"{}\"; add it: {}", what_, key.name, key.help));
}

const Section::Field* Section::find(std::string_view name) const {
    const auto same = [name](const Field& field) {
        return field.key->name == name;
    };
    const auto found = std::find_if(fields_.begin(), fields_.end(), same);
    return found == fields_.end() ? nullptr : &*found;
}

const Node* Section::node(std::string_view name) const {
    const Field* field = find(name);
    return field && !field->value->is_null() ? field->value : nullptr;
}

bool Section::has(std::string_view name) const {
    return find(name) != nullptr;
}

Place Section::place(std::string_view name) const {
    const Field* field = find(name);
    return field ? field->value->place() : place_;
}

const Section::Field* Section::scalar(std::string_view name) {
    const Field* field = find(name);
    if (!field || field->value->is_null())
        return nullptr;
    if (field->value->is_scalar())
        return field;
    problems_.error(field->value->place(), fmt::format("{}: expected {}, got {}", name,
                                                       expectation(field->key->type, field->key->choices),
                                                       field->value->kind_name()));
    return nullptr;
}

namespace {

// Parses, checks the range, reports.
template <typename Number>
bool accept(const Key& key, const Node& node, const std::optional<Number>& value, Problems& problems) {
    if (!value) {
        problems.error(node.place(),
                       fmt::format("{}: expected {}, got {}{}", key.name, expectation(key.type, key.choices),
                                   quote(node.text), value_hint(key.type, node.text)));
        return false;
    }
    const std::string range = range_text(static_cast<double>(*value), key.minimum, key.maximum, key.type);
    if (range.empty())
        return true;
    problems.error(node.place(), fmt::format("{}: {}, got {}", key.name, range, node.text));
    return false;
}

} // namespace

void Section::read(std::string_view name, bool& out) {
    const Field* field = scalar(name);
    if (!field)
        return;
    const std::optional<bool> value = field->value->quoted ? std::nullopt : parse_boolean(field->value->text);
    if (accept(*field->key, *field->value, value, problems_))
        out = *value;
}

void Section::read(std::string_view name, int& out) {
    std::int64_t value = out;
    read(name, value);
    if (value >= std::numeric_limits<int>::min() && value <= std::numeric_limits<int>::max())
        out = static_cast<int>(value);
}

void Section::read(std::string_view name, std::int64_t& out) {
    const Field* field = scalar(name);
    if (!field)
        return;
    const std::string& text = field->value->text;
    const std::optional<std::int64_t> value =
        field->key->type == KeyType::size ? parse_size(text) : parse_whole_number(text);
    if (accept(*field->key, *field->value, value, problems_))
        out = *value;
}

void Section::read(std::string_view name, double& out) {
    const Field* field = scalar(name);
    if (!field)
        return;
    const std::optional<double> value =
        field->value->quoted ? std::nullopt : parse_number(field->value->text);
    if (accept(*field->key, *field->value, value, problems_))
        out = *value;
}

void Section::read(std::string_view name, std::optional<double>& out) {
    double value = std::numeric_limits<double>::quiet_NaN();
    read(name, value);
    // NaN: nothing was read.
    if (value == value)
        out = value;
}

void Section::read(std::string_view name, std::string& out) {
    const Field* field = scalar(name);
    if (!field)
        return;
    if (field->value->text.empty())
        problems_.error(field->value->place(),
                        fmt::format("{}: empty text; write a value, or leave the key out", name));
    else
        out = field->value->text;
}

void Section::read(std::string_view name, std::filesystem::path& out) {
    std::string text;
    read(name, text);
    if (!text.empty())
        out = beside(place(name).file, text);
}

void Section::read(std::string_view name, std::chrono::milliseconds& out) {
    const Field* field = scalar(name);
    if (!field)
        return;
    const std::optional<std::int64_t> value = parse_duration(field->value->text);
    if (accept(*field->key, *field->value, value, problems_))
        out = std::chrono::milliseconds(*value);
}

std::optional<std::size_t> Section::choice(std::string_view name) {
    const Field* field = scalar(name);
    if (!field)
        return std::nullopt;
    const std::vector<std::string_view> words = split_words(field->key->choices);
    const auto found = std::find(words.begin(), words.end(), field->value->text);
    if (found != words.end())
        return static_cast<std::size_t>(found - words.begin());
    const std::string near = nearest(field->value->text, words);
    problems_.error(field->value->place(),
                    fmt::format("{}: expected {}, got {}{}", name,
                                expectation(KeyType::choice, field->key->choices), quote(field->value->text),
                                near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near)));
    return std::nullopt;
}

std::string quote(const std::string& text) {
    constexpr std::size_t most = 60;
    std::string why;
    // Columns change places, keys and values too: what may be a secret is not told to a log.
    if (is_device_secret(drop_unseen(text), why))
        return fmt::format("(a text of {} letters and digits)", text.size());
    if (const std::optional<Unseen> unseen = find_unseen(text); unseen && text.size() <= most)
        return fmt::format("\"{}\" (character {} is unseen: {})", show_unseen(text), unseen->index + 1,
                           unseen->name());
    if (text.size() <= most)
        return fmt::format("\"{}\"", text);
    std::size_t cut = most;
    // Not within a character.
    while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xc0U) == 0x80U)
        --cut;
    return fmt::format("\"{}...\"", std::string_view(text).substr(0, cut));
}

std::filesystem::path beside(const std::string& file, const std::string& path) {
    const std::filesystem::path given(path);
    return given.is_absolute() ? given : std::filesystem::path(file).parent_path() / given;
}

std::string range_text(double value, double minimum, double maximum, KeyType type) {
    if ((minimum == 0 && maximum == 0) || (value >= minimum && value <= maximum))
        return {};
    const auto show = [type](double limit) {
        if (type == KeyType::duration)
            return duration_text(static_cast<std::int64_t>(limit));
        return type == KeyType::size ? size_text(static_cast<std::int64_t>(limit)) : number_text(limit);
    };
    if (value < minimum)
        return fmt::format("must be at least {}", show(minimum));
    return fmt::format("must be at most {}", show(maximum));
}

std::string expectation(KeyType type, std::string_view choices) {
    switch (type) {
    case KeyType::boolean:
        return "true or false";
    case KeyType::integer:
        return "a whole number";
    case KeyType::number:
        return "a number";
    case KeyType::duration:
        return "a duration such as 500ms, 10s, 5m, 2h or 7d";
    case KeyType::size:
        return "a size such as 64KiB, 16MiB or 10MB";
    case KeyType::choice:
        return fmt::format("one of {}", fmt::join(split_words(choices), ", "));
    case KeyType::path:
        return "a file name";
    case KeyType::value:
        return "a value";
    case KeyType::list:
        return "a list";
    case KeyType::section:
        return "a mapping";
    case KeyType::text:
        break;
    }
    return "text";
}

std::string value_hint(KeyType type, const std::string& text) {
    if (type == KeyType::duration) {
        if (const std::optional<double> number = parse_number(text))
            return fmt::format("; did you mean \"{}{}\"?", text, *number >= 100 ? "ms" : "s");
        for (const auto& [word, unit] :
             {std::pair{"sec", "s"}, std::pair{"min", "m"}, std::pair{"hour", "h"}, std::pair{"day", "d"},
              std::pair{"S", "s"}, std::pair{"M", "m"}, std::pair{"H", "h"}, std::pair{"D", "d"}}) {
            const std::size_t digits = text.find_first_not_of("0123456789. ");
            if (digits != std::string::npos && digits > 0 &&
                text.compare(digits, std::string_view(word).size(), word) == 0)
                return fmt::format("; did you mean \"{}{}\"?",
                                   text.substr(0, text.find_first_of(" sSmMhHdD")), unit);
        }
    }
    if ((type == KeyType::number || type == KeyType::integer) && text.find(',') != std::string::npos) {
        std::string point = text;
        std::replace(point.begin(), point.end(), ',', '.');
        if (parse_number(point))
            return fmt::format("; did you mean \"{}\"?", point);
    }
    return {};
}

} // namespace things
