// A transform and the predicate it stands under, joined as Connect's runtime joins them.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.kafka.connect.connector.ConnectRecord;
import org.apache.kafka.connect.transforms.Transformation;
import org.apache.kafka.connect.transforms.predicates.Predicate;

record Step(Transformation<?> transform, Predicate<?> predicate, boolean negate) {
    static final String TRANSFORMS = "org.apache.kafka.connect.transforms.";

    static Step configure(ObjectNode each) {
        Map<String, String> options = options(each.get("connect"));
        Transformation<?> transform = make(TRANSFORMS + options.remove("type"));
        transform.configure(options);
        if (!each.has("predicate")) {
            return new Step(transform, null, false);
        }
        options = options(each.get("predicate"));
        boolean negate = Boolean.parseBoolean(options.remove("negate"));
        Predicate<?> predicate = make(TRANSFORMS + "predicates." + options.remove("type"));
        predicate.configure(options);
        return new Step(transform, predicate, negate);
    }

    /** The classes are generic in the record's class, and take any. */
    @SuppressWarnings({"unchecked", "rawtypes"})
    ConnectRecord<?> apply(ConnectRecord<?> record) {
        boolean applies = predicate == null || negate ^ ((Predicate) predicate).test(record);
        return applies ? (ConnectRecord<?>) ((Transformation) transform).apply(record) : record;
    }

    static Map<String, String> options(JsonNode config) {
        Map<String, String> options = new LinkedHashMap<>();
        config.properties().forEach(option -> options.put(option.getKey(), option.getValue().textValue()));
        return options;
    }

    @SuppressWarnings("unchecked")
    static <T> T make(String name) {
        try {
            return (T) Class.forName(name).getDeclaredConstructor().newInstance();
        } catch (ReflectiveOperationException error) {
            throw new IllegalArgumentException("no class " + name, error);
        }
    }
}
