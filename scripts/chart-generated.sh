# What of the chart is generated: README.md from the comments in values.yaml, and the schema of `config`
# from the program's own keys. Sourced by scripts/chart.sh.

# Rows of the table: each value, its default, and the comment `# -- …` above it, else none.
rows() {
    awk '
        /^ *#( |$)/ {
            text = $0
            sub(/^ *# ?/, "", text)
            if (text ~ /^-- /) { about = substr(text, 4); open = 1 }
            else if (text ~ /^@/) open = 0
            else if (open) about = about " " text
            next
        }
        /^ *$/ { about = ""; open = 0; next }
        /^ *- / { next }
        {
            match($0, /^ */); depth = RLENGTH / 2
            key = $0; sub(/^ */, "", key); sub(/: .*|:$/, "", key)
            path = depth ? parent[depth - 1] "." key : key
            parent[depth] = path
            if (about != "") print path "\t" about
            about = ""; open = 0
        }
    ' "$chart/values.yaml" >"$work/about"
    yq '.. | select((tag != "!!map" or length == 0) and (path | map(tag == "!!str") | all))
        | [path | join("."), . | @json] | join("\t")' "$chart/values.yaml" |
        awk -F '\t' '
            NR == FNR { about[$1] = $2; next }
            {
                said = about[$1]
                # What is said of a map is said at its first value.
                n = split($1, part, "."); up = ""
                for (i = 1; i < n; i++) {
                    up = up (i > 1 ? "." : "") part[i]
                    if (up in about) { said = about[up] (said ? " " said : ""); delete about[up] }
                }
                printf "| `%s` | `%s` | %s |\n", $1, $2, said
            }
        ' "$work/about" -
}

readme() {
    sed '/^<!-- values -->$/q' "$chart/README.md"
    printf '\n| value | default | meaning |\n| --- | --- | --- |\n'
    rows
}

# The schema with `config` as the program has it: each key with the type of its default.
schema() {
    "$program" config keys | awk '
        $1 ~ /^[a-z_]+(\.[a-z_]+)+$/ {
            type = "[\"string\"]"
            if ($2 ~ /^"[0-9]+$/ && $3 ~ /B"$/) type = "[\"string\", \"integer\"]"
            else if ($2 ~ /^(true|false)$/) type = "[\"boolean\"]"
            else if ($2 ~ /^-?[0-9]+$/) type = "[\"integer\"]"
            else if ($2 ~ /^-?[0-9]*\.[0-9]+$/) type = "[\"number\"]"
            else if ($2 ~ /^\[/) type = "[\"array\"]"
            else if ($2 ~ /^\{/) type = "[\"object\"]"
            else if ($2 == "(not") type = "[\"string\", \"boolean\"]"
            n = split($1, part, "."); path = ".properties.config"
            if (!count++) printf "%s = {}", path
            for (i = 1; i <= n; i++) {
                if (!(path in seen)) {
                    seen[path] = 1
                    printf " | %s.type = \"object\" | %s.additionalProperties = false", path, path
                }
                path = path ".properties." part[i]
            }
            printf " | %s.type = %s", path, type
        }
    ' >"$work/schema.yq"
    yq --input-format json --output-format json --from-file "$work/schema.yq" "$chart/values.schema.json"
}

update() {
    readme >"$work/readme" && cp "$work/readme" "$chart/README.md"
    if [ -n "$program" ]; then
        schema >"$work/schema" && cp "$work/schema" "$chart/values.schema.json"
    else
        echo "chart: the schema of config is not written, VERIFRAME names no program"
    fi
}

# Whether it is what would be written now.
generated() {
    readme | diff "$chart/README.md" - || fail "README.md is not current: scripts/chart.sh update"
    if [ -n "$program" ]; then
        schema | diff "$chart/values.schema.json" - ||
            fail "the schema of config is not current: VERIFRAME=PROGRAM scripts/chart.sh update"
    fi
    echo "chart: what is generated is current"
}
