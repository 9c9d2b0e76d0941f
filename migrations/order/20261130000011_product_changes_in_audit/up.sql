-- Changes of products are in the audit with everything else that operators do. product_change is not written any more; it
-- goes once no process of a release that writes it can run.
insert into operation_audit (actor, action, subject, reason, resource, before, after, at)
select actor, 'put-product', '00000000-0000-0000-0000-000000000000', '', '/products/' || sku, before, after, at
from product_change order by id;
