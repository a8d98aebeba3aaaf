// SPDX-License-Identifier: Apache-2.0
#include "config/document.hpp"

#include <fmt/format.h>
#include <yaml-cpp/anchor.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/node/node.h> // else its forward declaration in parser.h looks like a slip for our Node
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <array>
#include <map>
#include <sstream>
#include <unordered_map>

namespace things {

namespace {

constexpr std::size_t most_depth = 32;
constexpr std::size_t most_nodes = 1'000'000;
constexpr std::size_t most_alias_nodes = 100'000;
constexpr const char* too_many_aliases =
    "aliases (*name) that multiply to more than 100000 values; use a profile instead";

// Ends the parse from within a handler; the problem has been noted.
struct Stop {};

// Builds the tree from yaml-cpp's events. Its own YAML::Node is not used: it knows no limits and is slow.
class Builder : public YAML::EventHandler {
public:
    Builder(const std::string* file, Problems& problems) : file_(file), problems_(problems) {}
    [[nodiscard]] std::optional<Node> take() { return std::move(root_); }

    void OnDocumentStart(const YAML::Mark& /*mark*/) override {}
    void OnDocumentEnd() override {}
    void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
        add(make(mark, Node::Kind::null), anchor);
    }
    void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
        const auto found = anchors_.find(anchor);
        if (found == anchors_.end())
            stop(mark, alias_nodes_ > most_alias_nodes
                           ? too_many_aliases
                           : "an alias (*name) inside the value it stands for; write the value out");
        // Copies are counted before they are made: nine aliases of nine aliases of ... fill any memory.
        alias_nodes_ += found->second.count;
        if (alias_nodes_ > most_alias_nodes)
            stop(mark, too_many_aliases);
        nodes_ += found->second.count; // so that an alias of an alias counts in full
        add(found->second.node, 0);
    }
    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  const std::string& value) override {
        Node node = make(mark, Node::Kind::scalar);
        node.text = value;
        node.quoted = tag != "?";
        refuse_tag(mark, tag);
        add(std::move(node), anchor);
    }
    void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                         YAML::EmitterStyle::value /*style*/) override {
        begin(mark, tag, anchor, Node::Kind::list);
    }
    void OnSequenceEnd() override { end(); }
    void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                    YAML::EmitterStyle::value /*style*/) override {
        begin(mark, tag, anchor, Node::Kind::map);
    }
    void OnMapEnd() override { end(); }

private:
    struct Open {
        Node node;
        YAML::anchor_t anchor = 0;
        std::size_t before = 0; // nodes_ when it began
    };
    struct Anchored {
        Node node;
        std::size_t count = 0;
    };

    Node make(const YAML::Mark& mark, Node::Kind kind) {
        Node node;
        node.kind = kind;
        node.line = mark.line + 1;
        node.column = mark.column + 1;
        node.file = file_;
        return node;
    }
    [[noreturn]] void stop(const YAML::Mark& mark, const char* message) {
        problems_.error({*file_, mark.line + 1, mark.column + 1}, message);
        throw Stop{};
    }
    void refuse_tag(const YAML::Mark& mark, const std::string& tag) {
        if (!tag.empty() && tag != "?" && tag != "!" && tag != "tag:yaml.org,2002:str")
            problems_.error({*file_, mark.line + 1, mark.column + 1},
                            "a YAML tag (!...) has no meaning here; leave it out");
    }
    void begin(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, Node::Kind kind) {
        if (open_.size() >= most_depth)
            stop(mark, "nested deeper than 32 levels; no configuration needs that");
        refuse_tag(mark, tag);
        open_.push_back({make(mark, kind), anchor, nodes_});
        open_.back().node.children.reserve(8); // four keys and their values: a point mostly
    }
    void end() {
        Open done = std::move(open_.back());
        open_.pop_back();
        if (done.node.is_map())
            check_keys(done.node);
        add(std::move(done.node), done.anchor, nodes_ - done.before);
    }
    void add(Node node, YAML::anchor_t anchor, std::size_t count = 0) { // count: of the nodes within
        if (++nodes_ > most_nodes) {
            problems_.error(node.place(), "more than a million values in one file; split the fleet");
            throw Stop{};
        }
        if (anchor != 0) {
            alias_nodes_ += count; // the copy that is kept costs as much as an alias
            if (alias_nodes_ <= most_alias_nodes)
                anchors_.emplace(anchor, Anchored{node, count + 1});
        }
        if (open_.empty())
            root_ = std::move(node);
        else
            open_.back().node.children.push_back(std::move(node));
    }
    void check_keys(const Node& map);

    const std::string* file_;
    Problems& problems_;
    std::vector<Open> open_;
    std::map<YAML::anchor_t, Anchored> anchors_;
    std::size_t nodes_ = 0, alias_nodes_ = 0;
    std::optional<Node> root_;
};

void Builder::check_keys(const Node& map) {
    std::unordered_map<std::string_view, const Node*> seen;
    for (std::size_t i = 0; i + 1 < map.children.size(); i += 2) {
        const Node& key = map.children[i];
        if (!key.is_scalar()) {
            problems_.error(key.place(),
                            fmt::format("a key must be plain text, this one is {}", key.kind_name()));
            continue;
        }
        if (key.text == "<<" && !key.quoted)
            problems_.error(key.place(),
                            "merge keys (<<) are not known here; use a profile for what devices share");
        const auto [first, is_new] = seen.emplace(key.text, &key);
        if (!is_new)
            problems_.error(key.place(), fmt::format("\"{}\" is given twice, first in line {}; keep one",
                                                     key.text, first->second->line));
    }
}

// What yaml-cpp says, in the words of somebody who does not know YAML's grammar.
std::string plain_words(const std::string& said) {
    struct Words {
        std::string_view said, plain;
    };
    static constexpr std::array words{
        Words{"illegal map value",
              "a colon where no value can begin; indent the key like its neighbours, and put "
              "text with \": \" in quotes"},
        Words{"end of map not found",
              "the lines of this mapping do not line up, or a colon is missing; give all its "
              "keys the same indentation"},
        Words{"end of sequence not found",
              "the entries of this list do not line up; give all dashes the same "
              "indentation"},
        Words{"end of map flow not found", "a closing }, a comma or a closing quote is missing"},
        Words{"end of sequence flow not found", "a closing ], a comma or a closing quote is missing"},
        Words{"EOF", "the file ends within quotes; close them"},
        Words{"illegal block entry", "a dash (-) where no list entry can begin; give it a line of its own"},
        Words{"illegal document indicator", "the file ends within quotes or brackets; close them"},
        Words{"illegal EOF in scalar", "the file ends within quotes; close them"},
        Words{"referenced anchor is not defined",
              "an alias (*name) whose anchor (&name) is not in this file; put "
              "text that begins with * in quotes"},
        Words{"unknown token",
              "a character that cannot begin a value (tab, @, `, % or an unmatched bracket); put the "
              "text in quotes, indent with spaces"},
    };
    for (const Words& entry : words)
        if (said.find(entry.said) != std::string::npos)
            return std::string(entry.plain);
    return said;
}

std::string line_of(const std::string& text, int line) {
    std::size_t begin = 0;
    for (int i = 0; i < line && begin != std::string::npos; ++i) {
        begin = text.find('\n', begin);
        if (begin != std::string::npos)
            ++begin;
    }
    if (begin == std::string::npos)
        return {};
    return text.substr(begin, text.find('\n', begin) - begin);
}

/// Column of a colon without the space that makes it one, as in "name:kitchen"; npos: there is none.
std::size_t tight_colon(const std::string& line) {
    const std::size_t begin = line.find_first_not_of(" -");
    const std::size_t colon = line.find(':');
    if (begin == std::string::npos || colon == std::string::npos || colon + 1 >= line.size())
        return std::string::npos;
    const auto is_word = [](char c) {
        return (c >= 'a' && c <= 'z') || c == '_';
    };
    const bool is_key =
        colon > begin && std::all_of(line.begin() + static_cast<std::ptrdiff_t>(begin),
                                     line.begin() + static_cast<std::ptrdiff_t>(colon), is_word);
    return is_key && line[colon + 1] != ' ' ? colon : std::string::npos;
}

void note_syntax(const std::string& text, const std::string& file, const YAML::Exception& error,
                 Problems& problems) {
    const int line = error.mark.is_null() ? 0 : error.mark.line;
    const int column = error.mark.is_null() ? 0 : error.mark.column;
    // yaml-cpp complains behind the cause; the commonest causes are looked for in the text itself.
    const std::string bad = line_of(text, line);
    const std::size_t first = bad.find_first_not_of(' ');
    if (first != std::string::npos && bad[first] == '\t') {
        problems.error({file, line + 1, static_cast<int>(first) + 1},
                       "a tab in the indentation; YAML wants spaces");
        return;
    }
    // Such a key joins the next line, which is where the parser stumbles.
    for (int near = line; near >= 0 && near >= line - 1; --near) {
        const std::size_t colon = tight_colon(line_of(text, near));
        if (colon == std::string::npos)
            continue;
        problems.error({file, near + 1, static_cast<int>(colon) + 1},
                       "not YAML: a colon needs a space behind it, as in \"name: boiler\"");
        return;
    }
    problems.error({file, line + 1, column + 1}, fmt::format("not YAML: {}", plain_words(error.msg)));
}

std::size_t utf8_length(const std::string& text, std::size_t i) {
    const auto byte = [&text](std::size_t at) {
        return static_cast<unsigned char>(at < text.size() ? text[at] : 0);
    };
    const auto tail = [&byte](std::size_t at) {
        return (byte(at) & 0xc0U) == 0x80U;
    };
    const unsigned char lead = byte(i);
    if (lead < 0x80)
        return 1;
    if (lead >= 0xc2 && lead <= 0xdf && tail(i + 1))
        return 2;
    if ((lead & 0xf0U) == 0xe0U && tail(i + 1) && tail(i + 2) && !(lead == 0xe0 && byte(i + 1) < 0xa0) &&
        !(lead == 0xed && byte(i + 1) > 0x9f))
        return 3;
    if (lead >= 0xf0 && lead <= 0xf4 && tail(i + 1) && tail(i + 2) && tail(i + 3) &&
        !(lead == 0xf0 && byte(i + 1) < 0x90) && !(lead == 0xf4 && byte(i + 1) > 0x8f))
        return 4;
    return 0;
}

// Bytes that no text editor writes: yaml-cpp would replace or swallow them.
bool is_text(const std::string& text, const std::string& file, Problems& problems) {
    int line = 1, column = 1;
    for (std::size_t i = 0; i < text.size();) {
        const auto byte = static_cast<unsigned char>(text[i]);
        const std::size_t length = utf8_length(text, i);
        if (length == 0) {
            problems.error({file, line, column},
                           fmt::format("not UTF-8 (byte 0x{:02x}); save the file as UTF-8", byte));
            return false;
        }
        if ((byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r') || byte == 0x7f) {
            problems.error({file, line, column},
                           fmt::format("not a text file (byte 0x{:02x}); is this the right file?", byte));
            return false;
        }
        i += length;
        ++column;
        if (byte == '\n') {
            ++line;
            column = 1;
        }
    }
    return true;
}

} // namespace

const Node* Node::find(std::string_view key) const {
    if (!is_map())
        return nullptr;
    for (std::size_t i = 0; i + 1 < children.size(); i += 2)
        if (children[i].is_scalar() && children[i].text == key)
            return &children[i + 1];
    return nullptr;
}

const char* Node::kind_name() const {
    switch (kind) {
    case Kind::null:
        return "nothing";
    case Kind::scalar:
        return "text";
    case Kind::list:
        return "a list";
    case Kind::map:
        return "a mapping";
    }
    return "";
}

std::optional<Node> parse_yaml(const std::string& text, const std::string* file, Problems& problems) {
    if (!is_text(text, *file, problems))
        return std::nullopt;
    Builder builder(file, problems);
    try {
        std::istringstream stream(text);
        YAML::Parser parser(stream);
        if (!parser.HandleNextDocument(builder)) {
            problems.error({*file, 1, 1}, "the file is empty");
            return std::nullopt;
        }
        std::optional<Node> root = builder.take();
        // Everything behind a second --- would be left out without a word.
        Builder second(file, problems);
        if (parser.HandleNextDocument(second)) {
            const std::optional<Node> more = second.take();
            problems.error(more ? more->place() : Place{*file, 1, 1},
                           "a second YAML document; put everything above the line ---");
        }
        return root;
    } catch (const Stop&) {
    } catch (const YAML::Exception& error) {
        note_syntax(text, *file, error, problems);
    } catch (const std::exception& error) {
        problems.error({*file, 1, 1}, fmt::format("not YAML: {}", error.what()));
    }
    return std::nullopt;
}

const Node* Documents::load(const std::filesystem::path& path, const Place& place) {
    const std::optional<FileText> read_text = read(path, place);
    if (!read_text)
        return nullptr;
    const std::string* file = keep(path.string());
    std::optional<Node> root = parse_yaml(read_text->text, file, problems_);
    return root ? keep(std::move(*root)) : nullptr;
}

std::optional<FileText> Documents::read(const std::filesystem::path& path, const Place& place) {
    problems_.know_file(path.string());
    FileText file = read_text_file(path);
    if (file.reason.empty())
        return file;
    if (place.file == path.string())
        problems_.error(place, "cannot read the file: " + file.reason);
    else
        problems_.error(place, fmt::format("cannot read {}: {}", path.string(), file.reason));
    return std::nullopt;
}

const std::string* Documents::keep(const std::string& file) {
    return &files_.emplace_back(file);
}

Node* Documents::keep(Node node) {
    // A deque: what was handed out stays where it is.
    return &nodes_.emplace_back(std::move(node));
}

} // namespace things
