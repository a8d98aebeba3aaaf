// SPDX-License-Identifier: Apache-2.0
#include "config/document.hpp"

#include "config/brackets.hpp"
#include "config/syntax_problem.hpp"
#include "config/unseen.hpp"
#include "things_utf8.hpp"

#include <fmt/format.h>
#include <yaml-cpp/anchor.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/node/node.h> // else its forward declaration in parser.h looks like a slip for our Node
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <istream>
#include <limits>
#include <map>
#include <streambuf>
#include <unordered_map>

namespace things {

namespace {

constexpr std::size_t most_depth = 32;
constexpr std::size_t most_alias_nodes = 100'000;
// yaml-cpp keeps some 600 bytes for each bracket within an outer one until that is closed.
constexpr std::ptrdiff_t most_brackets = 40'000;
constexpr std::size_t most_bytes = std::size_t{16} * 1024 * 1024;
constexpr const char* too_deep = "nested deeper than 32 levels; no configuration needs that";
constexpr const char* too_many_aliases =
    "aliases (*name) that multiply to more than 100000 values; use a profile instead";

// Ends the parse from within a handler; the problem has been noted.
struct Stop {};

// Builds the tree from yaml-cpp's events. Its own YAML::Node is not used: it knows no limits and is slow.
class Builder : public YAML::EventHandler {
public:
    Builder(const std::string* file, std::size_t& values, Problems& problems)
        : file_(file), values_(values), problems_(problems) {}
    [[nodiscard]] std::optional<Node> take() { return std::move(root_); }

    void OnDocumentStart(const YAML::Mark& /*mark*/) override {}
    void OnDocumentEnd() override {}
    void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
        add(make(mark, Node::Kind::null), anchor);
    }
    void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
        const auto found = anchors_.find(anchor);
        if (found == anchors_.end())
            stop(mark, "an alias (*name) inside the value it stands for; write the value out");
        // Copies are counted before they are made: nine aliases of nine aliases of ... fill any memory.
        alias_nodes_ += found->second.count;
        if (alias_nodes_ > most_alias_nodes)
            stop(mark, too_many_aliases);
        values_ += found->second.count; // so that an alias of an alias counts in full
        add(found->second.node, 0);
    }
    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  const std::string& value) override {
        Node node = make(mark, Node::Kind::scalar);
        node.text = value;
        node.quoted = tag != "?";
        refuse_tag(mark, tag);
        refuse_unseen(node);
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
        std::size_t before = 0; // values_ when it began
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
    // In quotes they may be meant, such as the joiners of some scripts; who reads the value decides.
    void refuse_unseen(Node& node) {
        const std::optional<Unseen> unseen = node.quoted && !is_key() ? std::nullopt : find_unseen(node.text);
        if (!unseen)
            return;
        problems_.error({*file_, node.line,
                         node.column + static_cast<int>(unseen->index) + static_cast<int>(node.quoted)},
                        unseen_problem(*unseen));
        node.text = drop_unseen(node.text); // the rest is checked as if it were right
    }
    [[nodiscard]] bool is_key() const {
        return !open_.empty() && open_.back().node.is_map() && open_.back().node.children.size() % 2 == 0;
    }
    void begin(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, Node::Kind kind) {
        if (open_.size() >= most_depth)
            stop(mark, too_deep);
        refuse_tag(mark, tag);
        open_.push_back({make(mark, kind), anchor, values_});
        open_.back().node.children.reserve(8); // four keys and their values: a point mostly
    }
    void end() {
        Open done = std::move(open_.back());
        open_.pop_back();
        if (done.node.is_map())
            check_keys(done.node);
        add(std::move(done.node), done.anchor, values_ - done.before);
    }
    void add(Node node, YAML::anchor_t anchor, std::size_t count = 0) { // count: of the nodes within
        if (++values_ > most_values) {
            problems_.error(node.place(), too_many_values);
            throw Stop{};
        }
        if (anchor != 0) {
            alias_nodes_ += count + 1; // the copy that is kept costs as much as an alias
            if (alias_nodes_ > most_alias_nodes) {
                problems_.error(node.place(), too_many_aliases);
                throw Stop{};
            }
            anchors_.emplace(anchor, Anchored{node, count + 1});
        }
        if (open_.empty())
            root_ = std::move(node);
        else
            open_.back().node.children.push_back(std::move(node));
    }
    void check_keys(const Node& map);

    const std::string* file_;
    std::size_t& values_; // of all files so far
    Problems& problems_;
    std::vector<Open> open_;
    std::map<YAML::anchor_t, Anchored> anchors_;
    std::size_t alias_nodes_ = 0;
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

// Reads a text where it lies: a string stream would copy it.
class View : public std::streambuf {
public:
    explicit View(const std::string& text) {
        char* begin = const_cast<char*>(text.data()); // NOLINT: setg wants it so; nothing is written
        setg(begin, begin, begin + text.size());
    }
};

// What a bracket costs yaml-cpp is paid before its first event.
bool has_bounded_brackets(const std::string& text, const std::string& file, Problems& problems) {
    constexpr std::size_t most_open = most_depth - 1; // within the mapping that the file is
    const std::vector<Bracket> open =
        open_brackets(text, std::numeric_limits<int>::max(), std::numeric_limits<int>::max(), most_open);
    if (open.size() > most_open) {
        problems.error({file, open.back().line, open.back().column}, too_deep);
        return false;
    }
    const auto is_bracket = [](char c) {
        return c == '[' || c == '{';
    };
    if (std::count_if(text.begin(), text.end(), is_bracket) <= most_brackets)
        return true;
    problems.error(
        {file, 1, 1},
        fmt::format("more than {} brackets ([ or {{) in one file; spread them over several files with "
                    "`include`, or list the devices in a CSV file",
                    most_brackets));
    return false;
}

} // namespace

// Bytes that no text editor writes: yaml-cpp would replace or swallow them.
bool is_text(const std::string& text, const std::string& file, Problems& problems) {
    if (text.compare(0, 2, "\xff\xfe") == 0 || text.compare(0, 2, "\xfe\xff") == 0) {
        problems.error({file, 1, 1},
                       "the file is UTF-16, as Excel's \"Unicode Text\" and Notepad's \"Unicode\" "
                       "are; save it as UTF-8");
        return false;
    }
    int line = 1, column = 1;
    for (std::size_t i = 0; i < text.size();) {
        const auto byte = static_cast<unsigned char>(text[i]);
        const std::size_t length = utf8_length(std::string_view(text).substr(i));
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
        // C1 controls are two bytes in UTF-8. What else is unseen may stand in comments and quotes.
        if (byte == 0xc2 && static_cast<unsigned char>(text[i + 1]) < 0xa0) {
            const auto unseen = find_unseen(std::string_view(text).substr(i, length));
            problems.error({file, line, column}, unseen_problem(*unseen));
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

std::string unseen_problem(const Unseen& unseen) {
    return fmt::format("an unseen character here, {}; delete it, or type the text anew", unseen.name());
}

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

std::optional<Node> parse_yaml(const std::string& text, const std::string* file, std::size_t& values,
                               Problems& problems) {
    if (!is_text(text, *file, problems) || !has_bounded_brackets(text, *file, problems))
        return std::nullopt;
    Builder builder(file, values, problems);
    try {
        View view(text);
        std::istream stream(&view);
        YAML::Parser parser(stream);
        if (!parser.HandleNextDocument(builder)) {
            problems.error({*file, 1, 1}, "the file is empty");
            return std::nullopt;
        }
        std::optional<Node> root = builder.take();
        // Everything behind a second --- would be left out without a word.
        Builder second(file, values, problems);
        if (parser.HandleNextDocument(second)) {
            const std::optional<Node> more = second.take();
            problems.error(more ? more->place() : Place{*file, 1, 1},
                           "a second YAML document; put everything above the line ---");
        }
        return root;
    } catch (const Stop&) {
    } catch (const YAML::Exception& error) {
        const YAML::Mark at = error.mark.is_null() ? YAML::Mark() : error.mark;
        const Problem problem = syntax_problem(text, {*file, at.line + 1, at.column + 1}, error.msg);
        problems.error(problem.place, problem.message);
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
    std::optional<Node> root = parse_yaml(read_text->text, file, values_, problems_);
    return root ? keep(std::move(*root)) : nullptr;
}

std::optional<FileText> Documents::read(const std::filesystem::path& path, const Place& place) {
    problems_.know_file(path.string());
    FileText file = read_text_file(path);
    bytes_ += file.text.size();
    if (file.reason.empty() && bytes_ > most_bytes)
        file.reason = "all files of the configuration together are larger than 16 MiB; run a second gateway";
    if (file.reason.empty())
        return file;
    if (place.file == path.string())
        problems_.error(place, "cannot read the file: " + file.reason);
    else
        problems_.error(place, fmt::format("cannot read {}: {}", path.string(), file.reason));
    return std::nullopt;
}

bool Documents::count(std::size_t values, const Place& place) {
    values_ += values;
    if (values_ > most_values)
        problems_.error(place, too_many_values);
    return values_ <= most_values;
}

const std::string* Documents::keep(const std::string& file) {
    return &files_.emplace_back(file);
}

Node* Documents::keep(Node node) {
    // A deque: what was handed out stays where it is.
    return &nodes_.emplace_back(std::move(node));
}

} // namespace things
