// Runs each case of the files on the command line through Kafka Connect's own classes and writes
// what came out into the case, as `expected`. README.md says what a case is.
//
// What holds: a file written twice has the same bytes (fields of objects without a schema are
// sorted, as Connect gives them no order); nothing but `expected` is changed; values are written as
// a json topic of Towpath would hold them.

import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.cfg.JsonNodeFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.connect.connector.ConnectRecord;

public class Golden {
    static final JsonNodeFactory NODES = JsonNodeFactory.instance;
    static final ObjectMapper JSON = JsonMapper.builder()
            .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS)
            .disable(JsonNodeFeature.STRIP_TRAILING_BIGDECIMAL_ZEROES)
            .build();

    public static void main(String[] files) throws IOException {
        int total = 0;
        for (String name : files) {
            Path file = Path.of(name);
            ArrayNode cases = (ArrayNode) JSON.readTree(Files.readString(file));
            Map<String, Integer> outcomes = new TreeMap<>();
            Set<String> names = new HashSet<>();
            for (JsonNode each : cases) {
                ObjectNode expected = expect(check(name, (ObjectNode) each, names));
                ((ObjectNode) each).set("expected", expected);
                outcomes.merge(outcome(expected), 1, Integer::sum);
            }
            Files.writeString(file, Layout.write(cases));
            total += cases.size();
            System.out.printf("%-28s %3d %s%n", name, cases.size(), outcomes);
        }
        System.out.printf("%d cases%n", total);
    }

    /** The case, if it is whole and its name is new; a case that is not ends the program. */
    static ObjectNode check(String file, ObjectNode each, Set<String> names) {
        String name = each.path("name").asText();
        boolean reasoned = each.has("towpath") && each.get("towpath").isNull() == each.has("why");
        if (!names.add(name) || !reasoned || !each.has("connect") || !each.has("input")) {
            throw new IllegalArgumentException(file + ": case \"" + name + "\": needs a name of its own,"
                    + " `connect`, `input`, and `towpath` with `why` exactly when it is null");
        }
        return each;
    }

    static String outcome(ObjectNode expected) {
        for (String outcome : List.of("dropped", "error", "config_error")) {
            if (expected.has(outcome)) {
                return outcome;
            }
        }
        return "record";
    }

    /** What the classes make of a case. */
    static ObjectNode expect(ObjectNode each) {
        ConnectRecord<?> record = RecordForm.read(each.get("input"));
        Step step;
        try {
            step = Step.configure(each);
        } catch (ConfigException error) {
            return NODES.objectNode().put("config_error", message(error));
        }
        ConnectRecord<?> result;
        try {
            result = step.apply(record);
        } catch (RuntimeException error) {
            return NODES.objectNode().put("error", message(error));
        }
        return result == null ? NODES.objectNode().put("dropped", true) : RecordForm.write(result);
    }

    /** Without the addresses of objects, which differ from run to run. */
    static String message(RuntimeException error) {
        String text = error.getClass().getSimpleName() + ": " + error.getMessage();
        return text.replaceAll("@[0-9a-f]{4,8}\\b", "");
    }
}
